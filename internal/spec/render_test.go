package spec

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func num(f float64) *float64 { return &f }

func TestRenderedSpecParsesAndSaysWhatWasFound(t *testing.T) {
	page, err := Render(InitInput{Name: NameFrom("data/Flights_2013.csv.gz"), Format: "csv.gz", Approver: "cli:ana", Columns: []ColumnRule{
		{Name: "flight_key", Type: "text", Unique: true}, {Name: "scheduled", Type: "timestamp"}, {Name: "delay", Type: "integer", Nullable: true, Min: num(-120)},
		{Name: "carrier", Type: "category", Values: []string{"UA", "9E", "on", "a:b"}}, {Name: "label", Type: "integer", Min: num(0), Max: num(1)}}})
	require.NoError(t, err)
	m, err := Parse("model.yaml", page)
	require.NoError(t, err)
	require.Equal(t, "flights-2013", m.Metadata.Name)
	require.Equal(t, "s3://leanloop/landing/flights-2013/", m.Data.Prefix)
	require.Equal(t, []string{"flight_key", "scheduled", "label"}, []string{m.Data.ID, m.Data.Time, m.Data.Target})
	require.Equal(t, Binary, m.Task)
	require.Equal(t, "time", m.Split.By)
	require.Equal(t, []string{"UA", "9E", "on", "a:b"}, m.Data.Contract.Columns[3].Values)
	require.Equal(t, []string{"cli:ana"}, m.Approval.Approvers)
	require.Empty(t, m.Warnings())
	require.NoError(t, bySchema(compiled(t), page))
}

// A newcomer's file says nothing that the defaults don't, but for what was found, who approves and the first gates.
func TestRenderedSpecStatesTheDefaults(t *testing.T) {
	page, err := Render(InitInput{Name: "churn", Prefix: "s3://lake/churn/", Target: "left"})
	require.NoError(t, err)
	m, err := Parse("model.yaml", page)
	require.NoError(t, err)
	want, err := Parse("minimal.yaml", read(t, "minimal.yaml"))
	require.NoError(t, err)
	require.Equal(t, []string{"accuracy", "latency_p99_ms"}, m.Gates.Names())
	m.Gates.Metrics = nil
	require.Equal(t, want, m)
}

// Every field is in the page, as itself or in a comment, so that a newcomer meets it.
func TestRenderedSpecShowsEveryField(t *testing.T) {
	page, err := Render(InitInput{Columns: []ColumnRule{{Name: "y", Type: "integer"}}})
	require.NoError(t, err)
	for _, name := range []string{"team", "owner", "format", "id", "time", "positive", "group", "features", "last", "min_rows", "on_redelivery", "delay",
		"min_coverage", "strict", "columns", "validation", "newest", "builtin", "command", "params", "secrets", "cpus", "gpus", "timeout", "script", "disparity",
		"champion", "approvers", "quorum", "four_eyes", "sticky_by", "mirror", "sample", "steps", "weight", "hold", "min_requests", "interval", "deadline",
		"max_error_rate", "max_slowdown", "max_psi", "drift", "max_share", "methods", "correction", "exclude", "alert_after", "below_baseline", "cron", "cooldown", "mute_if_no_gain", "slack", "per_run", "cost_per_hour"} {
		if name == "positive" { // only for a category target
			continue
		}
		require.Regexp(t, `\b`+name+`:`, string(page))
	}
}

func TestGuess(t *testing.T) {
	task := func(c ColumnRule) Task {
		return Guess(InitInput{Columns: []ColumnRule{{Name: "x", Type: "number"}, c}}).Task
	}
	require.Equal(t, Regression, task(ColumnRule{Name: "y", Type: "number"}))
	require.Equal(t, Regression, task(ColumnRule{Name: "y", Type: "integer", Min: num(0), Max: num(900)}))
	require.Equal(t, Multiclass, task(ColumnRule{Name: "y", Type: "category", Values: []string{"a", "b", "c"}}))
	require.Equal(t, Multiclass, task(ColumnRule{Name: "y", Type: "integer", Min: num(0), Max: num(4)}))
	require.Equal(t, Binary, task(ColumnRule{Name: "y", Type: "boolean"}))
	in := Guess(InitInput{Columns: []ColumnRule{{Name: "Class", Type: "category"}, {Name: "customer_id", Type: "integer"}, {Name: "seen", Type: "timestamp", Nullable: true}, {Name: "z", Type: "number"}}})
	require.Equal(t, []string{"Class", "customer_id", ""}, []string{in.Target, in.ID, in.Time})
	require.Equal(t, "z", Guess(InitInput{Columns: []ColumnRule{{Name: "a", Type: "number"}, {Name: "z", Type: "number"}}}).Target)
}

func TestGuessByWhatAFileShows(t *testing.T) {
	seen := []ColumnRule{
		{Name: "order_id", Type: "integer", Unique: true, Min: num(1), Max: num(900)},
		{Name: "customer_id", Type: "integer", Min: num(1), Max: num(90)},
		{Name: "at", Type: "timestamp"}, {Name: "amount", Type: "number", Unique: true},
		{Name: "returned", Type: "category", Values: []string{"no", "yes"}}, {Name: "note", Type: "text", Nullable: true},
	}
	in := Guess(InitInput{Seen: seen, Columns: []ColumnRule{{Name: "order_id", Type: "number", Nullable: true}}})
	require.Equal(t, []string{"order_id", "at", "returned", "yes"}, []string{in.ID, in.Time, in.Target, in.Positive})
	require.Equal(t, Binary, in.Task)
	in = Guess(InitInput{Seen: seen[1:], Target: "amount"})
	require.Equal(t, Regression, in.Task)
	require.Empty(t, in.ID, "a customer's number repeats, and would drop all rows but each customer's first")

	for _, c := range []struct {
		target   ColumnRule
		task     Task
		positive string
	}{
		{ColumnRule{Type: "integer", Min: num(0), Max: num(1)}, Binary, ""},
		{ColumnRule{Type: "boolean"}, Binary, ""},
		{ColumnRule{Type: "category", Values: []string{"N", "Y"}}, Binary, "Y"},
		{ColumnRule{Type: "category", Values: []string{"positive", "test"}}, Binary, "positive"},
		{ColumnRule{Type: "category", Values: []string{"bad", "good"}}, Binary, "good"},
		{ColumnRule{Type: "category", Values: []string{"a", "b", "c"}}, Multiclass, ""},
		{ColumnRule{Type: "text"}, Multiclass, ""},
		{ColumnRule{Type: "text", Values: []string{"late"}}, Binary, "late"},
		{ColumnRule{Type: "integer", Min: num(1), Max: num(5)}, Multiclass, ""},
		{ColumnRule{Type: "integer", Min: num(0), Max: num(3000)}, Regression, ""},
	} {
		c.target.Name = "y"
		in := Guess(InitInput{Seen: []ColumnRule{c.target}})
		require.Equal(t, c.task, in.Task, "%+v", c.target)
		require.Equal(t, c.positive, in.Positive, "%+v", c.target)
	}
}

func TestNameFrom(t *testing.T) {
	for file, want := range map[string]string{"a/b/Flights_2013.csv.gz": "flights-2013", `C:\x\Kunden Daten.csv`: "kunden-daten", "é.csv": "model",
		"": "model", "--x--y--.csv": "x-y", strings.Repeat("a", 100): strings.Repeat("a", 63)} {
		require.Equal(t, want, NameFrom(file))
	}
}

func TestRenderNamesWhatIsWrongWithItsInput(t *testing.T) {
	_, err := Render(InitInput{Name: "Bad Name"})
	require.ErrorContains(t, err, `metadata.name: "Bad Name" isn't a name`)
}

func TestRenderedSpecReadsBackWhateverTheColumnsAreCalled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var columns []ColumnRule
		seen := map[string]bool{}
		for range rapid.IntRange(1, 6).Draw(t, "columns") {
			c := ColumnRule{Name: strings.TrimSpace(drawText(t, "name")), Type: rapid.SampledFrom([]string{"number", "text", "timestamp", "boolean"}).Draw(t, "type"),
				Unique: rapid.Bool().Draw(t, "unique"), Nullable: rapid.Bool().Draw(t, "nullable")}
			if c.Name == "" || seen[c.Name] {
				continue
			}
			if c.Type == "text" {
				c.Values = []string{drawText(t, "value")}
			}
			seen[c.Name] = true
			columns = append(columns, c)
		}
		columns = append(columns, ColumnRule{Name: "the last", Type: "integer"})
		page, err := Render(InitInput{Name: "model", Columns: columns})
		if err != nil {
			t.Fatalf("%v", err)
		}
		m, err := Parse("model.yaml", page)
		if err != nil {
			t.Fatal(err)
		}
		require.Equal(t, columns, m.Data.Contract.Columns)
	})
}

func TestAFewRowsGetALossThatTheyCanRuleOut(t *testing.T) {
	for _, c := range []struct {
		task Task
		rows int
		want string
	}{{Binary, 3000, "0.02"}, {Multiclass, 20_000, "0.01"}, {Binary, 40_000, "0.005"}, {Binary, 0, "0.005"}, {Regression, 3000, "0.005"}} {
		text, err := Render(InitInput{Task: c.task, Rows: c.rows})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "max_loss: "+c.want+",") {
			t.Errorf("%s, %d rows: want max_loss %s in\n%s", c.task, c.rows, c.want, text)
		}
	}
}
