package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/spec"
)

// formatGX is the shape in which Great Expectations states results.
const formatGX = "gx"

// validateOptions are starter validate's.
type validateOptions struct {
	*app
	file         string // a spec
	suite        string // a suite of Great Expectations, instead of the spec's
	data         string
	input        string // the data's format; "": the spec's, or by its name
	html         string
	failedRows   string
	contractOnly bool
}

const validateHelp = `Check a spec, and with --data a file against its contract and expectations, without any server: what an ingest would
accept or refuse. --suite checks against a suite of Great Expectations (1.x or older JSON) instead of the spec's, or
without any spec. Data is CSV (plain, gzip, zstd) or Parquet: a path, an s3:// URL, or - for standard input.

The file is read once, in memory that doesn't grow with it, and every broken rule is named with column, value, limit and
rows. A rule of severity warn is shown and fails nothing. Rows that keep a spec's contract are then prepared as training
would, which reads the file again and holds it in memory; --contract-only spares that.

-o gx prints the result in the shape of Great Expectations: an outcome for each rule and expectation.

Exit code 2: the spec or the suite is invalid. 3: the file breaks the contract, or can't be trained on.`

func newValidate(a *app, run func(context.Context, *validateOptions) error) *cobra.Command {
	o := &validateOptions{app: a}
	cmd := &cobra.Command{
		Use: "validate -f model.yaml [--data FILE]", Short: "Check a spec, and a data file against it, offline", Args: cobra.NoArgs,
		Long: validateHelp,
		Example: `  starter validate -f model.yaml
  starter validate -f model.yaml --data sales.csv.gz --html report.html
  starter validate --suite expectations.json --data sales.parquet -o gx
  starter validate -f model.yaml --data sales.csv --failed-rows bad.csv`,
		Annotations: map[string]string{moreFormats: formatGX},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "file", "f", "", "the spec")
	f.StringVar(&o.suite, "suite", "", "a suite of Great Expectations to hold the data to, instead of the spec's")
	f.StringVar(&o.data, "data", "", "a data file to hold against the contract")
	f.StringVar(&o.input, "format", "", formatFlag)
	f.BoolVar(&o.contractOnly, "contract-only", false, "don't try whether the rows can be trained on, which takes memory for all of them")
	f.StringVar(&o.failedRows, "failed-rows", "", fmt.Sprintf("write the first %d rows that break each rule to this CSV file, with what they break", failedKeep))
	f.StringVar(&o.html, "html", "", pageFlag)
	return cmd
}

// check refuses what no file could make right.
func (o *validateOptions) check() error {
	switch {
	case o.file == "" && o.suite == "":
		return usagef("which spec? -f model.yaml; or --suite expectations.json --data FILE")
	case o.file == "" && o.data == "":
		return usagef("--suite: which data? --data FILE")
	case o.data == "" && (o.html != "" || o.failedRows != "" || o.flags.format == formatGX):
		return usagef("--html, --failed-rows and -o gx are about data: --data FILE")
	}
	inputs := []string{o.data, o.file, o.suite}
	if err := checkOutput("--failed-rows", o.failedRows, inputs...); err != nil {
		return err
	}
	return checkPage(o.html, append(inputs, o.failedRows)...)
}

// validated is the result.
type validated struct {
	File     string         `json:"file,omitempty"`
	Suite    string         `json:"suite,omitempty"` // file of the suite that the command line names
	Valid    bool           `json:"valid"`
	Model    string         `json:"model,omitempty"`
	Digest   string         `json:"digest,omitempty"`
	Problems []spec.Problem `json:"problems,omitempty"`
	Warnings []string       `json:"warnings,omitempty"`
	Data     *checkedData   `json:"data,omitempty"`
}

// checkedData is what was found in a data file.
type checkedData struct {
	File     string            `json:"file"`
	OK       bool              `json:"ok"`
	SHA256   string            `json:"sha256,omitempty"`
	Rows     int               `json:"rows"`
	Ignored  []string          `json:"ignored_columns,omitempty"` // that the contract doesn't list
	Failures []dataset.Failure `json:"failures,omitempty"`        // warnings, too
	Suite    *suite.Result     `json:"suite,omitempty"`           // in the shape of Great Expectations
	kept     string            // what its rows did where nothing is wrong, in words
	gx       *suite.Result     // the contract's rules and the suite's expectations, for -o gx
}

// blocking is how many failures refuse the file.
func (c *checkedData) blocking() int {
	n := 0
	for _, f := range c.Failures {
		if f.Severity == dataset.SeverityBlock {
			n++
		}
	}
	return n
}

func runValidate(ctx context.Context, o *validateOptions) error {
	out := validated{File: o.file, Suite: o.suite, Valid: true}
	m, err := o.load()
	if invalid, ok := errors.AsType[*spec.Invalid](err); ok && o.documents() {
		out.Valid, out.Problems = false, invalid.Problems
		return errors.Join(err, o.print(out, nil))
	}
	if err != nil {
		return err
	}
	if o.file != "" {
		out.Model, out.Warnings = m.Metadata.Name, m.Warnings()
		if out.Digest, err = m.Digest(); err != nil {
			return err
		}
	}
	if o.flags.format == formatTable {
		o.warn(out.Warnings)
	}
	override, err := o.readSuite()
	if err != nil {
		return err
	}
	if o.data != "" {
		if out.Data, err = o.checkData(ctx, m, override); err != nil {
			return err
		}
	}
	if err := o.printValidated(out, override); err != nil {
		return err
	}
	if out.Data != nil && !out.Data.OK {
		return &checkError{name: out.Data.File, failures: out.Data.blocking()}
	}
	return nil
}

// documents reports whether what is wrong with a spec is asked for as a document; Great Expectations' shape has no place
// for it.
func (o *validateOptions) documents() bool {
	return o.flags.format == formatJSON || o.flags.format == formatYAML
}

// load is the spec; without one, nothing but defaults.
func (o *validateOptions) load() (*spec.Model, error) {
	if o.file == "" {
		return spec.Defaults(), nil
	}
	return spec.Load(o.file)
}

// readSuite is the suite that the command line names; nil: none.
func (o *validateOptions) readSuite() (*suite.Suite, error) {
	if o.suite == "" {
		return nil, nil
	}
	src, err := os.ReadFile(o.suite)
	if err != nil {
		return nil, usagef("--suite: %w", err)
	}
	return suite.Parse(o.suite, src)
}

func (o *validateOptions) printValidated(v validated, s *suite.Suite) error {
	if o.flags.format == formatGX {
		doc, err := json.MarshalIndent(v.Data.gx, "", "  ")
		if err != nil {
			return fmt.Errorf("result as %s: %w", formatGX, err)
		}
		_, err = fmt.Fprintln(o.out, string(doc))
		return err
	}
	return o.print(v, func(p *page) { validatedTable(p, v, s) })
}

// warn says what is allowed but may not be meant.
func (a *app) warn(warnings []string) {
	for _, w := range warnings {
		a.say("%s %s", a.styleOf(a.errOut).paint(toneWarn, "warning:"), oneLine(w))
	}
}

func validatedTable(p *page, v validated, s *suite.Suite) {
	if v.File != "" {
		p.line("%s: model %s is valid, digest %s", v.File, v.Model, short(v.Digest))
	}
	if s != nil {
		p.line("%s: suite %s is valid, %d expectations", v.Suite, oneLine(first(s.Name, "without a name")), len(s.Expectations))
	}
	if v.Data == nil {
		return
	}
	if len(v.Data.Ignored) > 0 && v.Data.OK { // a strict contract fails them, below
		p.line("columns that the contract doesn't list, and are ignored: %s", oneLine(strings.Join(v.Data.Ignored, ", ")))
	}
	if v.Data.OK {
		p.line("%s: %d rows %s, sha256 %s", oneLine(v.Data.File), v.Data.Rows, v.Data.kept, short(v.Data.SHA256))
	}
	failuresTable(p, v.Data.Failures)
}

// failuresTable draws what is wrong with a file, and what is only noted.
func failuresTable(p *page, failures []dataset.Failure) {
	if len(failures) == 0 {
		return
	}
	header := []string{"COLUMN", "RULE", "OBSERVED", "WANT", "ROWS", "FIRST ROWS"}
	mixed := slices.ContainsFunc(failures, func(f dataset.Failure) bool { return f.Severity != dataset.SeverityBlock })
	if mixed {
		header = slices.Insert(header, 0, "SEVERITY")
	}
	t := newTable(header...).alignRight(len(header) - 2)
	for _, f := range failures {
		rows, firstRows, tone := "-", make([]string, len(f.First)), toneBad
		if f.Rows > 0 {
			rows = fmt.Sprint(f.Rows)
		}
		for i, r := range f.First {
			firstRows[i] = fmt.Sprint(r)
		}
		if f.Severity != dataset.SeverityBlock {
			tone = toneWarn
		}
		row := []any{first(clip(f.Column, 60), "-"), f.Rule, cell{text: clip(f.Observed, 100), tone: tone}, clip(wanted(f), 60), rows, strings.Join(firstRows, " ")}
		if mixed {
			row = slices.Insert(row, 0, any(cell{text: f.Severity, tone: tone}))
		}
		t.add(row...)
	}
	p.table(t)
}

// wanted is a failure's limit without the words of the expectation's own name, which stands beside it.
func wanted(f dataset.Failure) string {
	kind, ok := strings.CutPrefix(f.Rule, "expect_")
	if !ok {
		return f.Limit
	}
	return strings.TrimPrefix(f.Limit, strings.ReplaceAll(kind, "_", " ")+" ")
}
