package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
)

// flights is a year of them, as the tables in docs/drift.md see it.
type flights struct {
	t        *testing.T
	spec     *spec.Model
	months   []*dataset.Table // January first
	features []string
}

func readFlights(t *testing.T) *flights {
	t.Helper()
	const folder = "../examples/flight-delay"
	m, err := spec.Load(filepath.Join(folder, "model.yaml"))
	require.NoError(t, err)
	f := &flights{t: t, spec: m}
	paths, err := filepath.Glob(filepath.Join(folder, "data", "*.csv.gz"))
	require.NoError(t, err)
	require.Len(t, paths, 12)
	for _, path := range paths {
		table, _, report, err := dataset.ReadSource(t.Context(), dataset.File(path), dataset.ReadOptions{Name: path, Contract: m.Data.Contract})
		require.NoError(t, err)
		require.NoError(t, report.Error())
		f.months = append(f.months, table)
	}
	f.features, err = dataset.FeatureColumns(f.months[0], m.Data)
	require.NoError(t, err)
	return f
}

// until is all months before one.
func (f *flights) until(month int) *dataset.Table {
	t, err := dataset.Concat(f.months[:month]...)
	require.NoError(f.t, err)
	return t
}

// compare holds rows to a reference by the default limits.
func (f *flights) compare(ref, cur *dataset.Table, method string) drift.Result {
	o := drift.OptionsOf(spec.Defaults().Monitor.Drift)
	o.Columns, o.Method = f.features, method
	r, err := drift.CompareTables(ref, cur, o)
	require.NoError(f.t, err)
	require.False(f.t, r.Inconclusive)
	return r
}

// train is the model of model.yaml on some rows.
func (f *flights) train(rows *dataset.Table) *inference.Model {
	p, err := dataset.Prepare(rows, f.spec.Data, time.Time{})
	require.NoError(f.t, err)
	out, err := training.Builtin(context.Background(), training.Trees, training.Input{
		Train: p.Table, Features: f.features, Target: f.spec.Data.Target, Task: f.spec.Task, Params: f.spec.Train.Params, Seed: f.spec.Split.Seed,
	}, nil)
	require.NoError(f.t, err)
	file, err := inference.Inspect(out.Model, inference.DefaultLimits())
	require.NoError(f.t, err)
	model, err := inference.NewModel(out.Signature, file)
	require.NoError(f.t, err)
	return model
}

// quality is how well a model ranks and calls the flights of a table.
func (f *flights) quality(m *inference.Model, rows *dataset.Table) evaluation.Values {
	p, err := dataset.Prepare(rows, f.spec.Data, time.Time{})
	require.NoError(f.t, err)
	y, err := m.Signature.Targets(p.Table)
	require.NoError(f.t, err)
	scores, err := m.PredictTable(f.t.Context(), p.Table)
	require.NoError(f.t, err)
	return evaluation.Metrics(f.spec.Task, len(m.Signature.Classes), y, scores, m.Signature.Threshold)
}

// weeks are the rows of whole weeks from an instant on.
func (f *flights) weeks(from time.Time) []*dataset.Table {
	year := f.until(12)
	at, ok := year.Column(f.spec.Data.Time)
	require.True(f.t, ok)
	var rows [][]int
	for row, ns := range at.Times {
		if week := int(time.Unix(0, ns).Sub(from) / (7 * 24 * time.Hour)); !time.Unix(0, ns).Before(from) {
			for len(rows) <= week {
				rows = append(rows, nil)
			}
			rows[week] = append(rows[week], row)
		}
	}
	var out []*dataset.Table
	for _, r := range rows {
		out = append(out, year.Select(r))
	}
	return out
}

// flightsPage is where the numbers of this test stand. LEANLOOP_UPDATE_GOLDEN=1 writes them anew.
const flightsPage = "../docs/drift.md"

// Tables in the documentation are measured, not remembered.
func TestTheFlightsInTheDocsAreAsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a dozen models on a year of flights")
	}
	f := readFlights(t)
	raw, err := os.ReadFile(flightsPage)
	require.NoError(t, err)
	page := string(raw)
	for name, text := range map[string]string{"columns": f.columnsTable(), "months": f.monthsTable(), "rules": f.rulesTable()} {
		begin, end := "<!-- flights "+name+": begin -->\n", "<!-- flights "+name+": end -->"
		before, rest, ok := strings.Cut(page, begin)
		require.True(t, ok, begin)
		old, after, ok := strings.Cut(rest, end)
		require.True(t, ok, end)
		if os.Getenv("LEANLOOP_UPDATE_GOLDEN") == "" {
			require.Equal(t, text, old)
		}
		page = before + begin + text + end + after
	}
	if os.Getenv("LEANLOOP_UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(flightsPage, []byte(page), 0o644))
	}
}

// columnsTable counts, by column, in how many of eleven months it drifts.
func (f *flights) columnsTable() string {
	type count struct{ effect, psi, p int }
	counts := [2]map[string]*count{{}, {}}
	for _, name := range f.features {
		counts[0][name], counts[1][name] = &count{}, &count{}
	}
	for month := 1; month < 12; month++ {
		for i, ref := range []*dataset.Table{f.months[month-1], f.until(month)} {
			for _, c := range f.compare(ref, f.months[month], drift.MethodAll).Columns {
				n := counts[i][c.Name]
				if !c.Beside {
					n.effect += one(c.Drifted)
					n.psi += one(c.PSI > 0.2 && !c.ByChance)
				}
				if c.Method == drift.MethodKS || c.Type == drift.Categorical && c.Method == drift.MethodChiSquare {
					n.p += one(c.Drifted)
				}
			}
		}
	}
	names := slices.Clone(f.features)
	slices.SortStableFunc(names, func(a, b string) int {
		x, y := counts[0][a], counts[0][b]
		return cmp.Or(cmp.Compare(y.effect, x.effect), cmp.Compare(y.psi, x.psi), cmp.Compare(y.p, x.p))
	})
	var b strings.Builder
	b.WriteString("| column | a month against the one before: effect | PSI | p-value | against all before it: effect | PSI | p-value |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, name := range names {
		x, y := counts[0][name], counts[1][name]
		fmt.Fprintf(&b, "| `%s` | %d | %d | %d | %d | %d | %d |\n", name, x.effect, x.psi, x.p, y.effect, y.psi, y.p)
	}
	return b.String()
}

// monthsTable is what each month brings: how much drifted, and what that did to a model that knows January only.
func (f *flights) monthsTable() string {
	january := f.train(f.until(1))
	var b strings.Builder
	b.WriteString("| month | drifted columns: against the month before | against all before | greatest PSI against the month before | late | AUC of January's model | of one from all months before | gain |\n| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |\n")
	for month := 1; month < 12; month++ {
		last := f.compare(f.months[month-1], f.months[month], "")
		all := f.compare(f.until(month), f.months[month], "")
		old, fresh := f.quality(january, f.months[month])["roc_auc"], f.quality(f.train(f.until(month)), f.months[month])["roc_auc"]
		fmt.Fprintf(&b, "| %s | %d | %d | `%s` %.2f | %.0f %% | %.3f | %.3f | %+.3f |\n", time.Month(month+1), last.Drifted, all.Drifted,
			last.MaxPSIColumn, last.MaxPSI, 100*f.late(month), old, fresh, fresh-old)
	}
	return b.String()
}

// late is the share of a month's flights that were.
func (f *flights) late(month int) float64 {
	c, _ := f.months[month].Column(f.spec.Data.Target)
	late, n := 0.0, 0
	for row, x := range c.Floats {
		if !c.Null(row) {
			late, n = late+x, n+1
		}
	}
	return late / float64(n)
}

// rule is a way to look for drift.
type rule struct {
	name    string
	options drift.Options
}

// rulesTable is how often each rule alerts when nothing is wrong, and whether it sees what is.
func (f *flights) rulesTable() string {
	usual := drift.OptionsOf(spec.Defaults().Monitor.Drift)
	usual.Columns = f.features
	schedule := usual
	schedule.Columns = slices.DeleteFunc(slices.Clone(f.features), func(name string) bool {
		return slices.Contains([]string{"temp", "humid", "wind_speed", "precip", "pressure", "visib"}, name)
	})
	own := drift.OptionsOf(f.spec.Monitor.Drift)
	own.Columns = f.features
	rules := []rule{{"the defaults", usual}, {"the defaults, without the weather", schedule}, {"those of `model.yaml`: 8 columns or a PSI of 4", own}}
	faults := f.faults()
	var b strings.Builder
	b.WriteString("| rule | alerts in 11 months, each against the one before | in 9 months against January to March | in 39 weeks against January to March |")
	for _, fault := range faults {
		b.WriteString(" " + fault.name + " |")
	}
	b.WriteString("\n| --- | ---: | ---: | ---: |" + strings.Repeat(" --- |", len(faults)) + "\n")
	winter, weeks := f.until(3), f.weeks(time.Date(2013, 4, 1, 4, 0, 0, 0, time.UTC))[:39]
	for _, r := range rules {
		alerts := func(ref, cur *dataset.Table) bool {
			result, err := drift.CompareTables(ref, cur, r.options)
			require.NoError(f.t, err)
			return result.Alert
		}
		last, since, weekly := 0, 0, 0
		for month := 1; month < 12; month++ {
			last += one(alerts(f.months[month-1], f.months[month]))
			if month >= 3 {
				since += one(alerts(winter, f.months[month]))
			}
		}
		for _, week := range weeks {
			weekly += one(alerts(winter, week))
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d |", r.name, last, since, weekly)
		for _, fault := range faults {
			fmt.Fprintf(&b, " %s |", map[bool]string{true: "alert", false: "no"}[alerts(f.months[8], fault.month)])
		}
		b.WriteString("\n")
	}
	return b.String()
}

// fault is October with something wrong in it.
type fault struct {
	name  string
	month *dataset.Table
}

func (f *flights) faults() []fault {
	change := func(column string, what func(x float64) float64) *dataset.Table {
		out := &dataset.Table{Rows: f.months[9].Rows, Columns: slices.Clone(f.months[9].Columns)}
		c, ok := out.Column(column)
		require.True(f.t, ok)
		c.Floats = slices.Clone(c.Floats)
		for row, x := range c.Floats {
			c.Floats[row] = what(x)
		}
		return out
	}
	lower := change("hour", func(x float64) float64 { return x })
	c, _ := lower.Column("carrier")
	c.Dict = slices.Clone(c.Dict)
	for i, name := range c.Dict {
		c.Dict[i] = strings.ToLower(name)
	}
	return []fault{
		{"October with the temperature in Celsius", change("temp", func(x float64) float64 { return math.Round((x - 32) / 1.8) })},
		{"with no air pressure", change("pressure", func(float64) float64 { return math.NaN() })},
		{"with delays in seconds", change("dep_delay", func(x float64) float64 { return 60 * x })},
		{"with carriers in lower case", lower},
	}
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
