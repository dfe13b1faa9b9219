package spec

import (
	"bytes"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// InitInput is what is known about a new model, mostly from its first file. Guess fills what is empty.
type InitInput struct {
	Name     string // Guess takes it from NameFrom
	Prefix   string // s3://bucket/folder/
	Format   string // "": by the object's name
	Task     Task
	ID       string // columns
	Time     string
	Target   string
	Positive string
	Approver string       // "": nobody
	Columns  []ColumnRule // of the contract; empty: none is written
	Seen     []ColumnRule // what the first file shows, for Guess alone; empty: Columns
	MinRows  int
	Rows     int // of the first file; 0: unknown
}

//go:embed init.yaml.tmpl
var initTemplate string

// Render is a commented model.yaml for a newcomer, after Guess. Parse reads it wherever the input itself is valid: the
// error is that of Parse.
func Render(in InitInput) ([]byte, error) {
	in = Guess(in)
	page, err := template.New("model.yaml").Funcs(template.FuncMap{"q": quote, "flow": flowQuote, "column": flowColumn}).Parse(initTemplate)
	if err != nil {
		return nil, fmt.Errorf("model.yaml's template: %w", err)
	}
	var out bytes.Buffer
	data := struct {
		InitInput
		Comparison, Quality string
		MaxLoss             float64
	}{in, in.Task.DefaultComparison(), in.Task.DefaultQuality(), maxLoss(in)}
	if err := page.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("model.yaml's template: %w", err)
	}
	if _, err := Parse("model.yaml", out.Bytes()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// maxLoss is a loss that the judging fifth of a first file can rule out. The width of a gain's bound falls with the
// root of the rows: on 600 of them an equal challenger's AUC is uncertain by about 0.012, and would fail a limit of
// 0.005 more often than not.
func maxLoss(in InitInput) float64 {
	usual := Defaults().Gates.Champion.MaxLoss
	switch {
	case in.Task == Regression || in.Rows == 0: // in the target's units, which nobody but its owner can judge
		return usual
	case in.Rows < 10_000:
		return 4 * usual
	case in.Rows < 40_000:
		return 2 * usual
	}
	return usual
}

// Guess fills what is empty by the names and types of the columns: the time is the first timestamp without nulls, the
// target a column that is called so or else the last one, the id a column that is called so, where the file was seen
// only one in which no value repeats, or else the first text in which none does. Of a yes or no in words it guesses
// which is the yes.
func Guess(in InitInput) InitInput {
	if in.Name == "" {
		in.Name = "model"
	}
	if in.Prefix == "" {
		in.Prefix = "s3://leanloop/landing/" + in.Name + "/"
	}
	if in.MinRows == 0 {
		in.MinRows = Defaults().Data.Window.MinRows
	}
	columns, seen := in.Seen, len(in.Seen) > 0
	if !seen {
		columns = in.Columns
	}
	taken := func(name string) bool { return slices.Contains([]string{in.ID, in.Time, in.Target}, name) }
	pick := func(field *string, fits func(ColumnRule) bool) {
		for _, c := range columns {
			if *field == "" && !taken(c.Name) && fits(c) {
				*field = c.Name
			}
		}
	}
	pick(&in.Time, func(c ColumnRule) bool { return c.Type == "timestamp" && !c.Nullable })
	pick(&in.Target, func(c ColumnRule) bool { return targetName.MatchString(c.Name) && c.Type != "timestamp" })
	for _, unfit := range [][]string{{"timestamp", "text"}, {"timestamp"}} {
		for _, c := range slices.Backward(columns) {
			if in.Target == "" && !taken(c.Name) && !slices.Contains(unfit, c.Type) {
				in.Target = c.Name
			}
		}
	}
	// An id that repeats would drop every row but its first: a customer's number names no order.
	named := func(c ColumnRule) bool { return !c.Nullable && idName.MatchString(c.Name) }
	pick(&in.ID, func(c ColumnRule) bool { return named(c) && c.Unique })
	pick(&in.ID, func(c ColumnRule) bool { return !c.Nullable && c.Unique && (!seen || c.Type == "text") })
	pick(&in.ID, func(c ColumnRule) bool { return named(c) && !seen })
	if in.Target == "" {
		in.Target = "target"
	}
	for _, c := range columns {
		if c.Name != in.Target {
			continue
		}
		if in.Task == "" {
			in.Task = guessTask(c)
		}
		if in.Task == Binary && in.Positive == "" {
			in.Positive = guessPositive(c)
		}
	}
	if in.Task == "" {
		in.Task = Binary
	}
	return in
}

var (
	targetName = regexp.MustCompile(`(?i)^(target|label|y|class|outcome|result)$`)
	idName     = regexp.MustCompile(`(?i)^(id|key|uuid)$|_(id|key|uuid)$`)
	yes        = regexp.MustCompile(`(?i)^(yes|y|true|t|1|positive|pos)$`)
)

// guessTask takes a fraction for a value to predict, more than two known values or words that aren't known for classes,
// and anything else for a yes or no.
func guessTask(target ColumnRule) Task {
	width := 0.0
	if target.Min != nil && target.Max != nil {
		width = *target.Max - *target.Min
	}
	switch {
	case target.Type == "number", target.Type == "integer" && width > 20:
		return Regression
	case len(target.Values) > 2, target.Type == "integer" && width > 1:
		return Multiclass
	case len(target.Values) == 0 && (target.Type == "category" || target.Type == "text"):
		return Multiclass // a yes or no would have to say which word is the yes
	}
	return Binary
}

// guessPositive is which of one or two words is the yes: one that says so, or else the last. Numbers and booleans need
// no guess.
func guessPositive(target ColumnRule) string {
	switch n := len(target.Values); {
	case n == 0 || n > 2:
		return ""
	case yes.MatchString(target.Values[0]):
		return target.Values[0]
	default:
		return target.Values[n-1]
	}
}

// NameFrom makes a model's name of a file's: flights_2013.csv.gz becomes flights-2013.
func NameFrom(file string) string {
	file = file[strings.LastIndexAny(file, `/\`)+1:]
	stem, _, _ := strings.Cut(file, ".")
	name := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(stem), "-")
	name = strings.Trim(name, "-")
	name = strings.Trim(name[:min(len(name), 63)], "-")
	if len(name) < 2 {
		return "model"
	}
	return name
}

// flowColumn is one column of a contract on one line.
func flowColumn(c ColumnRule) string {
	parts := []string{"name: " + flowQuote(c.Name), "type: " + flowQuote(c.Type)}
	add := func(ok bool, text string) {
		if ok {
			parts = append(parts, text)
		}
	}
	add(c.Unique, "unique: true")
	add(c.Nullable, "nullable: true")
	add(c.Optional, "optional: true")
	if c.Min != nil {
		parts = append(parts, "min: "+formatFloat(*c.Min))
	}
	if c.Max != nil {
		parts = append(parts, "max: "+formatFloat(*c.Max))
	}
	if len(c.Values) > 0 {
		values := make([]string, len(c.Values))
		for i, v := range c.Values {
			values[i] = flowQuote(v)
		}
		parts = append(parts, "values: ["+strings.Join(values, ", ")+"]")
	}
	add(c.Pattern != "", "pattern: "+flowQuote(c.Pattern))
	return "{" + strings.Join(parts, ", ") + "}"
}

// flowQuote leaves only names without a colon plain: some readers of YAML take a:b within braces for a mapping.
func flowQuote(text string) string {
	if out := quote(text); !strings.Contains(out, ":") || out[0] == '"' {
		return out
	}
	return `"` + text + `"`
}
