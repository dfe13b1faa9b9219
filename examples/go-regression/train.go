// Command train fits a ridge regression and writes it in leanloop's linear format. It needs nothing but Go's standard
// library, and shows what a trainer in any language does: it reads CSV files and a description of their columns, prints
// a line of JSON, and leaves model.json.
package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// schema is what the file that LEANLOOP_SCHEMA names says of the columns.
type schema struct {
	Target   string   `json:"target"`
	Features []column `json:"features"`
}

// column is a feature, in the linear format's own words. Its weights follow one another in the list of all weights, from
// at: of a category one for each of its values; of a number its own, and that of its absence.
type column struct {
	Name       string    `json:"name"`
	Kind       string    `json:"kind"`
	Categories []string  `json:"categories,omitempty"`
	Mean       float64   `json:"mean,omitempty"`
	Scale      float64   `json:"scale,omitempty"`
	Weights    []float64 `json:"weights,omitempty"`
	Missing    []float64 `json:"missing,omitempty"`

	CategoryWeights [][]float64 `json:"category_weights,omitempty"`

	at int
}

// model is the linear format, and how a row becomes a sparse one of numbers.
type model struct {
	Format    string    `json:"format"`
	Version   int       `json:"version"`
	Link      string    `json:"link"`
	Intercept []float64 `json:"intercept"`
	Features  []column  `json:"features"`

	weights []float64 // all of them; that at 0 is the intercept
}

// term is one number of a sparse row.
type term struct {
	at    int
	value float64
}

// table is a channel's rows: cells by column, as text, and the target.
type table struct {
	cells   map[string][]string
	targets []float64
}

func main() {
	l2 := flag.Float64("l2", 1, "shrinks weights towards 0")
	flag.Parse()
	if err := run(*l2); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

func run(l2 float64) error {
	var s schema
	raw, err := os.ReadFile(os.Getenv("LEANLOOP_SCHEMA"))
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		return err
	}
	rows, err := read("SM_CHANNEL_TRAIN", s.Target)
	if err != nil {
		return err
	}
	m := lay(s, rows)
	fmt.Printf("%d rows, %d weights\n", len(rows.targets), len(m.weights))
	if err := m.fit(rows, l2); err != nil {
		return err
	}
	if os.Getenv("SM_CHANNEL_VALIDATION") != "" {
		watched, err := read("SM_CHANNEL_VALIDATION", s.Target)
		if err != nil {
			return err
		}
		m.report(watched)
	}
	return m.save(filepath.Join(os.Getenv("SM_MODEL_DIR"), "model.json"))
}

// read reads the CSV files of a channel. Their header names the columns; an empty cell is a missing value.
func read(channel, target string) (table, error) {
	t := table{cells: map[string][]string{}}
	files, err := filepath.Glob(filepath.Join(os.Getenv(channel), "*.csv"))
	if err != nil {
		return t, err
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return t, err
		}
		lines, err := csv.NewReader(f).ReadAll()
		_ = f.Close()
		if err != nil {
			return t, fmt.Errorf("%s: %w", name, err)
		}
		if len(lines) == 0 {
			continue
		}
		for i, column := range lines[0] {
			for _, line := range lines[1:] {
				t.cells[column] = append(t.cells[column], line[i])
			}
		}
	}
	for _, cell := range t.cells[target] {
		y, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			return t, fmt.Errorf("column %s: %w", target, err)
		}
		t.targets = append(t.targets, y)
	}
	if len(t.targets) == 0 {
		return t, fmt.Errorf("%s=%q: no rows with a column %s", channel, os.Getenv(channel), target)
	}
	return t, nil
}

// lay gives every feature its place among the weights, and numbers their scale.
func lay(s schema, rows table) *model {
	m := &model{Format: "leanloop-linear", Version: 1, Link: "identity", Features: s.Features}
	places := 1
	for i := range m.Features {
		c := &m.Features[i]
		c.at = places
		if c.Kind == "category" {
			places += len(c.Categories)
			continue
		}
		places += 2
		var n, sum, squares float64
		for _, cell := range rows.cells[c.Name] {
			if v, err := strconv.ParseFloat(cell, 64); err == nil {
				n, sum, squares = n+1, sum+v, squares+v*v
			}
		}
		c.Mean = sum / max(n, 1)
		c.Scale = math.Sqrt(max(squares/max(n, 1)-c.Mean*c.Mean, 0))
		if c.Scale == 0 {
			c.Scale = 1
		}
	}
	m.weights = make([]float64, places)
	return m
}

// encode turns a row into its terms. A category that isn't known adds nothing.
func (m *model) encode(t table, row int) []term {
	terms := []term{{0, 1}}
	for _, c := range m.Features {
		cell := t.cells[c.Name][row]
		v, err := strconv.ParseFloat(cell, 64)
		switch {
		case c.Kind == "category":
			if i := slices.Index(c.Categories, cell); i >= 0 {
				terms = append(terms, term{c.at + i, 1})
			}
		case err != nil:
			terms = append(terms, term{c.at + 1, 1})
		default:
			terms = append(terms, term{c.at, (v - c.Mean) / c.Scale})
		}
	}
	return terms
}

// fit solves (X'X + l2 I) w = X'y. The intercept isn't shrunk.
func (m *model) fit(rows table, l2 float64) error {
	n := len(m.weights)
	a, b := make([][]float64, n), make([]float64, n)
	for i := range a {
		a[i] = make([]float64, n)
		if i > 0 {
			a[i][i] = l2
		}
	}
	for row, y := range rows.targets {
		terms := m.encode(rows, row)
		for _, t := range terms {
			b[t.at] += t.value * y
			for _, u := range terms {
				a[t.at][u.at] += t.value * u.value
			}
		}
	}
	if err := solve(a, b); err != nil {
		return err
	}
	m.weights = b
	return nil
}

// solve finds x of a x = b by Cholesky's decomposition and leaves it in b. a is overwritten.
func solve(a [][]float64, b []float64) error {
	for i := range a {
		for j := 0; j <= i; j++ {
			sum := a[i][j]
			for k := range j {
				sum -= a[i][k] * a[j][k]
			}
			switch {
			case i > j:
				a[i][j] = sum / a[j][j]
			case sum <= 0:
				return errors.New("the columns depend on each other: give --l2 a number over 0")
			default:
				a[i][i] = math.Sqrt(sum)
			}
		}
	}
	for i := range b {
		for k := range i {
			b[i] -= a[i][k] * b[k]
		}
		b[i] /= a[i][i]
	}
	for i := len(b) - 1; i >= 0; i-- {
		for k := i + 1; k < len(b); k++ {
			b[i] -= a[k][i] * b[k]
		}
		b[i] /= a[i][i]
	}
	return nil
}

func (m *model) predict(t table, row int) (y float64) {
	for _, t := range m.encode(t, row) {
		y += m.weights[t.at] * t.value
	}
	return y
}

// report prints how well the model does on rows that it hasn't learned from, as a line of progress, and then some of
// them as a request has them: what is served has to say the same.
func (m *model) report(watched table) {
	var absolute, squares float64
	n := float64(len(watched.targets))
	for row, y := range watched.targets {
		d := m.predict(watched, row) - y
		absolute, squares = absolute+math.Abs(d), squares+d*d
	}
	out := json.NewEncoder(os.Stdout)
	_ = out.Encode(map[string]any{"step": 1, "total": 1, "metrics": map[string]float64{"mae": absolute / n, "rmse": math.Sqrt(squares / n)}})
	for row := range min(20, len(watched.targets)) {
		features := map[string]any{}
		for _, c := range m.Features {
			features[c.Name] = nil
			if cell := watched.cells[c.Name][row]; c.Kind == "category" && cell != "" {
				features[c.Name] = cell
			} else if v, err := strconv.ParseFloat(cell, 64); err == nil {
				features[c.Name] = v
			}
		}
		_ = out.Encode(map[string]any{"features": features, "score": m.predict(watched, row)})
	}
}

// save writes the model with each feature's weights beside it.
func (m *model) save(path string) error {
	m.Intercept = m.weights[:1]
	for i := range m.Features {
		c := &m.Features[i]
		if c.Kind != "category" {
			c.Weights, c.Missing = m.weights[c.at:c.at+1], m.weights[c.at+1:c.at+2]
			continue
		}
		for k := range c.Categories {
			c.CategoryWeights = append(c.CategoryWeights, m.weights[c.at+k:c.at+k+1])
		}
	}
	raw, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}
