package inference

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// tolerance is how far scores may be from XGBoost's own: relative to values over 1.
const tolerance = 1e-6

func close6(got, want float64) bool {
	return math.Abs(got-want) <= tolerance*max(1, math.Abs(want))
}

// flatten reads predictions that are one number or a list of numbers per row.
func flatten(t *testing.T, raw json.RawMessage) []float64 {
	t.Helper()
	var flat []float64
	if json.Unmarshal(raw, &flat) == nil {
		return flat
	}
	var nested [][]float64
	if err := json.Unmarshal(raw, &nested); err != nil {
		t.Fatal(err)
	}
	flat = nil
	for _, row := range nested {
		flat = append(flat, row...)
	}
	return flat
}

func requireScores(t *testing.T, s Scorer, x []float64, rows int, want []float64) {
	t.Helper()
	got := make([]float64, rows*s.Outputs())
	if len(got) != len(want) {
		t.Fatalf("observed %d scores, want %d", len(got), len(want))
	}
	if err := s.Score(x, rows, got); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if !close6(got[i], want[i]) {
			t.Fatalf("score %d: observed %.9g, want %.9g", i, got[i], want[i])
		}
	}
}

func TestXGBoostGolden(t *testing.T) {
	for _, name := range []string{"binary", "multiclass"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", "golden", name)
			data, err := os.ReadFile(filepath.Join(dir, "model.json"))
			if err != nil {
				t.Fatal(err)
			}
			file, err := Inspect(data, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			x, rows := readRows(t, filepath.Join(dir, "rows.csv"), file.Features)
			var expected struct {
				Predictions json.RawMessage `json:"predictions"`
			}
			raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(raw, &expected); err != nil {
				t.Fatal(err)
			}
			requireScores(t, file.Scorer, x, rows, flatten(t, expected.Predictions))
		})
	}
}

// readRows reads a CSV whose columns are a model's features; an empty cell is missing.
func readRows(t *testing.T, path string, features []string) (x []float64, rows int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range features {
		if records[0][i] != name {
			t.Fatalf("column %d: observed %q, want %q", i, records[0][i], name)
		}
	}
	for _, record := range records[1:] {
		for _, cell := range record {
			v := math.NaN()
			if cell != "" {
				if v, err = strconv.ParseFloat(cell, 64); err != nil {
					t.Fatal(err)
				}
			}
			x = append(x, v)
		}
	}
	return x, len(records) - 1
}

// versionCase is one case of testdata/versions, which says how it was made.
type versionCase struct {
	Name        string          `json:"name"`
	Model       json.RawMessage `json:"model"`
	Rows        [][]*float64    `json:"rows"`
	Predictions json.RawMessage `json:"predictions"`
}

func (c versionCase) matrix() []float64 {
	var x []float64
	for _, row := range c.Rows {
		for _, cell := range row {
			if cell == nil {
				x = append(x, math.NaN())
				continue
			}
			x = append(x, *cell)
		}
	}
	return x
}

func TestXGBoostOfEachVersion(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "versions", "*.json"))
	if err != nil || len(paths) != 3 {
		t.Fatalf("observed %d files (%v), want 3", len(paths), err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Version string        `json:"xgboost"`
			Cases   []versionCase `json:"cases"`
		}
		if err := json.Unmarshal(quoteSpecials(raw), &file); err != nil {
			t.Fatal(err)
		}
		for _, c := range file.Cases {
			t.Run(file.Version+"/"+c.Name, func(t *testing.T) {
				model, err := Inspect(bytes.ReplaceAll(c.Model, []byte(quotedNaN), []byte("NaN")), Limits{}) // as XGBoost wrote it
				if err != nil {
					t.Fatal(err)
				}
				requireScores(t, model.Scorer, c.matrix(), len(c.Rows), flatten(t, c.Predictions))
			})
		}
	}
}
