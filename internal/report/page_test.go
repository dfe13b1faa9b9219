package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/report"
	"github.com/leanloop/leanloop/internal/spec"
)

var (
	at = time.Date(2013, 8, 1, 3, 0, 0, 0, time.UTC)
	// hostile is what a header or a cell may hold.
	hostile = []string{
		`<script>alert(1)</script>`, `</style><img src=x onerror=alert(1)>`, `" onmouseover="alert(1)`, `' onfocus=alert(1) autofocus='`,
		`{{.}}`, "user\u202egnp.exe", "a\x00b", "latin\xe9", "line\nbreak", "--><svg onload=alert(1)>", "javascript:alert(1)", "&lt;b&gt;", "]]>",
		strings.Repeat("wide", 500), "=cmd|' /C calc'!A0", "", " ", "\u200b", "https://example.com/x.png", "url(https://example.com)",
	}
)

// table is rows of random columns: numbers, integers with gaps, instants, flags and categories of the given names.
func table(rows int, seed uint64, names []string) *dataset.Table {
	r := rand.New(rand.NewPCG(seed, 1))
	t := &dataset.Table{Rows: rows}
	for i, name := range names {
		c := dataset.Column{Name: name, Kind: []dataset.Kind{dataset.Number, dataset.Integer, dataset.Timestamp, dataset.Boolean, dataset.Category}[i%5]}
		if c.Kind == dataset.Category {
			c.Dict = hostile
		}
		for row := range rows {
			switch c.Kind {
			case dataset.Number:
				c.Floats = append(c.Floats, r.NormFloat64()+float64(seed%7))
			case dataset.Integer:
				c.Floats = append(c.Floats, float64(r.IntN(40)))
			case dataset.Boolean:
				c.Floats = append(c.Floats, float64(r.IntN(2)))
			case dataset.Timestamp:
				c.Times = append(c.Times, at.Add(time.Duration(r.IntN(1000))*time.Hour).UnixNano())
			default:
				c.Codes = append(c.Codes, int32((row+r.IntN(3))%len(c.Dict)))
			}
		}
		t.Columns = append(t.Columns, c)
	}
	return t
}

func namesOf(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("column_%d", i)
	}
	return out
}

func profileOf(t *testing.T, of *dataset.Table) *profile.Profile {
	t.Helper()
	p, err := profile.Of(of, profile.Options{})
	require.NoError(t, err)
	return p
}

// driftPage is a window against a reference over the names; the last is the target.
func driftPage(t *testing.T, names []string, o drift.Options) report.DriftPage {
	t.Helper()
	ref, cur := table(1500, 1, names), table(400, 3, names)
	target := names[len(names)-1]
	o.Columns, o.Extra, o.PSI = names[:len(names)-1], []string{target}, 0.2
	result, err := drift.CompareTables(ref, cur, o)
	require.NoError(t, err)
	return report.DriftPage{
		Title: "flights", Subject: "July against January", At: at, Result: result, Reference: profileOf(t, ref), Current: profileOf(t, cur),
		ReferenceName: "January", CurrentName: "July", Target: target, History: []bool{false, true, true}, After: spec.KOfN{K: 2, N: 3},
		LeftOut: []report.LeftOut{{Column: names[0] + " id", Reason: "whole numbers that name rows: each once, rising or without large gaps"}},
	}
}

func validationPage(t *testing.T, names []string) report.ValidationPage {
	t.Helper()
	low := -1.5
	page := report.ValidationPage{
		Title: "flights", Subject: "flights-2013-07.csv.gz", At: at, Info: dataset.Info{SHA256: strings.Repeat("5a", 32), Bytes: 419_637, Rows: 300},
		Report: &dataset.Report{Rows: 300}, Contract: &spec.Contract{Strict: true, Rows: spec.RowRule{Min: 10}},
		Profile: profileOf(t, table(300, 1, names)),
	}
	unexpected, percent, why := int64(3), 1.0, names[0]
	var outcomes []suite.Outcome
	for i, name := range names {
		page.Contract.Columns = append(page.Contract.Columns, spec.ColumnRule{Name: name, Type: "number", Min: &low, Values: hostile, Pattern: name})
		severity := []string{dataset.SeverityBlock, "warn"}[i%2]
		page.Report.Failures = append(page.Report.Failures, dataset.Failure{
			Column: name, Rule: dataset.RuleMin, Observed: name, Limit: name, Rows: int64(i), First: []int64{1, 1200}, Severity: severity,
		})
		outcomes = append(outcomes, suite.Outcome{
			Success: i%2 == 0, Config: suite.Config{Type: "expect_column_values_to_be_between", Severity: []string{suite.Critical, suite.Warning}[i/2%2],
				Kwargs: suite.Kwargs{"column": name, "min_value": 1234.5, "value_set": []any{name, nil, true}}},
			Found:     suite.Found{UnexpectedCount: &unexpected, UnexpectedPercent: &percent, PartialUnexpected: []any{name, name, 7.0}},
			Exception: suite.Exception{Raised: i%5 == 4, Message: &why},
		})
	}
	page.Suites = []*suite.Result{suite.NewResult(names[0], 300, outcomes)}
	return page
}

// pages are one of each kind over the names.
func pages(t *testing.T, names []string) map[string][]byte {
	t.Helper()
	all := map[string]func(io.Writer) error{
		"validation": func(w io.Writer) error { return report.Validation(w, validationPage(t, names)) },
		"drift":      func(w io.Writer) error { return report.Drift(w, driftPage(t, names, drift.Options{})) },
		"drift, all": func(w io.Writer) error {
			return report.Drift(w, driftPage(t, names, drift.Options{Method: drift.MethodAll}))
		},
		"drift, small": func(w io.Writer) error { return report.Drift(w, small(t, names)) },
		"profile": func(w io.Writer) error {
			return report.Profile(w, report.ProfilePage{Title: names[0], Subject: names[0], At: at, Profile: profileOf(t, table(300, 1, names))})
		},
		"search": func(w io.Writer) error { return report.Search(w, searchPage(names)) },
	}
	out := map[string][]byte{}
	for name, write := range all {
		var b bytes.Buffer
		require.NoError(t, write(&b), name)
		out[name] = b.Bytes()
	}
	return out
}

// small has a reference so small that p-values decide, adjusted ones.
func small(t *testing.T, names []string) report.DriftPage {
	t.Helper()
	page := driftPage(t, names, drift.Options{})
	ref, cur := table(300, 1, names), table(200, 3, names)
	result, err := drift.CompareTables(ref, cur, drift.Options{Columns: names[:len(names)-1], PSI: 0.2, Correction: drift.CorrectionBH})
	require.NoError(t, err)
	page.Result, page.Reference, page.Current = result, nil, nil
	return page
}

// element is a start tag of a page.
type element struct {
	name       string
	attributes map[string]string
}

// parse reads a page as XML, which demands that every element is closed in its place and every attribute quoted. It
// returns the elements and the text by the name of its element.
func parse(t *testing.T, page []byte) (elements []element, text map[string]string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	text = map[string]string{}
	var open []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			require.Empty(t, open)
			return elements, text
		}
		require.NoError(t, err)
		switch x := token.(type) {
		case xml.StartElement:
			e := element{x.Name.Local, map[string]string{}}
			for _, a := range x.Attr {
				_, twice := e.attributes[a.Name.Local]
				require.False(t, twice, "%s has %s twice", e.name, a.Name.Local)
				e.attributes[a.Name.Local] = a.Value
			}
			elements, open = append(elements, e), append(open, e.name)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				text[open[len(open)-1]] += string(x) + "\n"
			}
		}
	}
}

func TestPagesAreWellFormedAndReadableWithoutSight(t *testing.T) {
	for name, page := range pages(t, namesOf(12)) {
		t.Run(name, func(t *testing.T) {
			elements, text := parse(t, page)
			ids, targets, levels := map[string]bool{}, []string{}, []int{}
			for _, e := range elements {
				if id := e.attributes["id"]; id != "" {
					require.False(t, ids[id], "two elements have the id %s", id)
					ids[id] = true
				}
				if to, ok := e.attributes["href"]; ok {
					targets = append(targets, to)
				}
				for _, by := range strings.Fields(e.attributes["aria-labelledby"]) {
					targets = append(targets, "#"+by)
				}
				switch e.name {
				case "th":
					require.NotEmpty(t, e.attributes["scope"], "a table's header without a scope")
				case "html":
					require.Equal(t, "en", e.attributes["lang"])
				case "h1", "h2", "h3":
					levels = append(levels, int(e.name[1]-'0'))
				case "div":
					if strings.Contains(e.attributes["class"], "scroll") {
						require.Equal(t, "0", e.attributes["tabindex"], "who has no mouse can't scroll it")
						require.NotEmpty(t, e.attributes["aria-label"])
					}
				}
				if e.attributes["role"] == "img" {
					require.NotEmpty(t, e.attributes["aria-label"], "a drawing that says nothing")
				}
			}
			for _, to := range targets {
				require.True(t, strings.HasPrefix(to, "#") && ids[to[1:]], "%s leads nowhere", to)
			}
			require.Equal(t, 1, levels[0])
			for i := 1; i < len(levels); i++ {
				require.Greater(t, levels[i], 1, "one first heading")
				require.LessOrEqual(t, levels[i], levels[i-1]+1, "no level is skipped")
			}
			require.NotEmpty(t, strings.TrimSpace(text["h1"]))
			require.NotEmpty(t, strings.TrimSpace(text["title"]))
		})
	}
}

// What pages are made of: nothing that loads, runs or sends, and no style of its own.
const (
	allowedElements = " html head meta title style body svg symbol path use a div header p h1 h2 h3 ul ol li dl dt dd span nav main section article " +
		"figure figcaption table thead tbody tr th td line rect text strong code abbr bdi footer "
	allowedAttributes = " lang charset http-equiv content name class aria-hidden focusable id viewBox fill-rule d href title aria-label aria-labelledby " +
		"tabindex role scope data-label width height x y x1 x2 y1 y2 rx preserveAspectRatio text-anchor "
)

func TestPagesLoadNothingAndRunNothing(t *testing.T) {
	for name, page := range pages(t, namesOf(12)) {
		elements, text := parse(t, page)
		assert.NotRegexp(t, `url\(|@import|expression|</`, text["style"], name)
		sum := sha256.Sum256([]byte(strings.TrimSuffix(text["style"], "\n")))
		policy := ""
		for _, e := range elements {
			assert.Contains(t, allowedElements, " "+e.name+" ", name)
			for attribute := range e.attributes {
				assert.Contains(t, allowedAttributes, " "+attribute+" ", "%s: %s", name, e.name)
			}
			if e.attributes["http-equiv"] == "Content-Security-Policy" {
				policy = e.attributes["content"]
			}
		}
		assert.Contains(t, policy, "default-src 'none'", name)
		assert.Contains(t, policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'", "%s: the policy lets its own style through", name)
		assert.NotContains(t, policy, "unsafe", name)
	}
}

func TestNamesFromDataStayText(t *testing.T) {
	plain := map[string]int{}
	for name, page := range pages(t, namesOf(len(hostile))) {
		elements, _ := parse(t, page)
		plain[name] = len(elements)
	}
	for name, page := range pages(t, hostile) {
		elements, _ := parse(t, page)
		for _, e := range elements {
			for attribute, value := range e.attributes {
				assert.NotRegexp(t, `(?i)^on`, attribute, "%s: %s", name, e.name)
				if attribute == "href" || attribute == "id" || attribute == "class" {
					assert.Regexp(t, `^#?[a-z0-9 -]+$`, value, "%s: %s of %s is from data", name, attribute, e.name)
				}
				assert.LessOrEqual(t, len(value), 12_000, "%s: %s of %s", name, attribute, e.name)
			}
			assert.NotContains(t, []string{"script", "img"}, e.name, name)
		}
		// Titles of cut names are the only thing that differs in structure; bars of hostile categories are in both.
		assert.InDelta(t, plain[name], len(elements), 60, name)
		for _, r := range string(page) {
			if r == '\u202e' || r == '\u200b' || r == 0 {
				i := bytes.IndexRune(page, r)
				t.Errorf("%s holds %U: %s", name, r, page[i-80:i+20])
				break
			}
		}
	}
}

func TestTheSamePageIsTheSameBytes(t *testing.T) {
	want := pages(t, namesOf(12))
	for range 3 {
		for name, page := range pages(t, namesOf(12)) {
			require.True(t, bytes.Equal(want[name], page), name)
		}
	}
}

func TestPagesStaySmall(t *testing.T) {
	for name, page := range pages(t, namesOf(20)) {
		t.Logf("%s: %d bytes", name, len(page))
		assert.Less(t, len(page), 300_000, "%s of 20 columns", name)
	}
}

// A page of very many columns draws some, lists more and says how many are left.
func TestVeryManyColumnsKeepThePageBounded(t *testing.T) {
	const columns = 10_000
	p := &profile.Profile{Version: profile.Version, Rows: 10}
	result := drift.Result{Features: columns, Drifted: columns, Alert: true, ReferenceRows: 10, CurrentRows: 10}
	checked := &dataset.Report{Rows: 10}
	contract := &spec.Contract{}
	for i := range columns {
		name := fmt.Sprintf("%d-%s", i, strings.Repeat("x", 100))
		p.Columns = append(p.Columns, profile.Column{Name: name, Kind: "text", Count: 10, Distinct: 10})
		result.Columns = append(result.Columns, drift.ColumnResult{Name: name, Type: drift.Numeric, Method: drift.MethodJS, Statistic: 0.2, Threshold: 0.1, Drifted: true})
		result.AbsentCurrent = append(result.AbsentCurrent, name)
		checked.Failures = append(checked.Failures, dataset.Failure{Column: name, Rule: dataset.RuleNull, Rows: 1, Severity: dataset.SeverityBlock})
		contract.Columns = append(contract.Columns, spec.ColumnRule{Name: name, Type: "text"})
	}
	for name, write := range map[string]func(io.Writer) error{
		"profile": func(w io.Writer) error { return report.Profile(w, report.ProfilePage{Profile: p}) },
		"drift": func(w io.Writer) error {
			return report.Drift(w, report.DriftPage{Result: result, Reference: p, Current: p})
		},
		"validation": func(w io.Writer) error {
			return report.Validation(w, report.ValidationPage{Report: checked, Contract: contract, Profile: p})
		},
	} {
		var b bytes.Buffer
		require.NoError(t, write(&b), name)
		t.Logf("%s: %d bytes", name, b.Len())
		assert.Less(t, b.Len(), 3_000_000, name)
		assert.Regexp(t, `[0-9],[0-9]{3} more columns|9,000 more failures`, b.String(), "%s: the rest is counted", name)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAPageThatCannotBeWrittenIsAnError(t *testing.T) {
	require.ErrorContains(t, report.Profile(fullDisk{}, report.ProfilePage{}), "no space left")
}
