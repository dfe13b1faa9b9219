package training

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// answers is a signature of a task, with three classes where it is multiclass.
func answers(task spec.Task) inference.Signature {
	s := inference.Signature{Version: 1, Format: inference.FormatCommand, Task: task, Output: "y", Inputs: []inference.Feature{{Name: "x", Kind: inference.KindNumber}}}
	switch task {
	case spec.Binary:
		s.Classes, s.Threshold = []string{"no", "yes"}, 0.5
	case spec.Multiclass:
		s.Classes = []string{"a", "b", "c, d"}
	}
	return s
}

func TestPredictionsAreReadInEitherForm(t *testing.T) {
	for _, c := range []struct {
		name, text string
		task       spec.Task
		want       []float64
	}{
		{"a column of probabilities", "prediction\n0.25\n1\n", spec.Binary, []float64{0.25, 1}},
		{"both classes of a binary model, in any order", "yes,no\n0.25,0.75\n1,0\n", spec.Binary, []float64{0.25, 1}},
		{"a column for each class, in any order", "b,\"c, d\",a\n0.2,0.3,0.5\n0,1,0\n", spec.Multiclass, []float64{0.5, 0.2, 0.3, 0, 0, 1}},
		{"values of a regression", "prediction\r\n-1e3\r\n 7 \r\n", spec.Regression, []float64{-1000, 7}},
		{"a byte order mark and empty lines", "\xef\xbb\xbf\nprediction\n1\n\n2\n", spec.Regression, []float64{1, 2}},
		{"JSON lines", `{"prediction": 0.25}` + "\n\n" + `{"prediction": 1}`, spec.Binary, []float64{0.25, 1}},
		{"JSON lines of classes", `{"c, d":0.3,"a":0.5,"b":0.2}` + "\n" + `{"a":0,"b":0,"c, d":1}` + "\n", spec.Multiclass, []float64{0.5, 0.2, 0.3, 0, 0, 1}},
		{"what six digits add up to", "a,b,\"c, d\"\n0.333333,0.333333,0.333333\n0.3334,0.3334,0.3334\n", spec.Multiclass, []float64{0.333333, 0.333333, 0.333333, 0.3334, 0.3334, 0.3334}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadPredictions(strings.NewReader(c.text), answers(c.task), 2)
			if err != nil || !slices.Equal(got, c.want) {
				t.Fatalf("observed %v, %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestPredictionsThatNoModelGivesAreRefusedByRow(t *testing.T) {
	for _, c := range []struct {
		name, text string
		task       spec.Task
		says       string
	}{
		{"nothing", " \n", spec.Binary, "the file is empty"},
		{"too few rows", "prediction\n1\n", spec.Binary, "observed 1 rows, want 2"},
		{"too many rows", "prediction\n1\n1\n1\n", spec.Binary, "observed more than 2 rows"},
		{"an index beside them", ",prediction\n0,1\n1,1\n", spec.Binary, `columns: observed ["" "prediction"], want ["prediction"] or ["no" "yes"]`},
		{"a class that isn't there", "a,b,c\n1,0,0\n1,0,0\n", spec.Multiclass, `columns: observed ["a" "b" "c"], want ["a" "b" "c, d"]`},
		{"a class twice", "a,b,b\n1,0,0\n1,0,0\n", spec.Multiclass, `columns: observed ["a" "b" "b"]`},
		{"no header", "0.1\n0.2\n", spec.Binary, `columns: observed ["0.1"]`},
		{"a label", "prediction\n1\nyes\n", spec.Binary, `row 2: column "prediction": observed "yes", want a number`},
		{"an empty cell", "a,b,\"c, d\"\n1,0,0\n1,,0\n", spec.Multiclass, `row 2: column "b": observed "", want a number`},
		{"NaN", "prediction\n0.5\nNaN\n", spec.Binary, "row 2: observed NaN, want a finite number"},
		{"infinity", "prediction\n0.5\n-inf\n", spec.Regression, "row 2: observed -Inf, want a finite number"},
		{"a margin for a probability", "prediction\n0.5\n2.5\n", spec.Binary, "row 2: observed 2.5, want a probability of 0 to 1"},
		{"below 0", "no,yes\n1,0\n1.1,-0.1\n", spec.Binary, `row 2: class "no": observed 1.1, want a probability of 0 to 1`},
		{"classes that don't add up", "a,b,\"c, d\"\n1,0,0\n0.5,0.4,0\n", spec.Multiclass, "row 2: observed 0.9, want probabilities that add up to 1 within 0.001"},
		{"a row that is short", "a,b,\"c, d\"\n1,0,0\n1,0\n", spec.Multiclass, "row 2: not CSV"},
		{"an open quote", "prediction\n\"1\n1\n", spec.Regression, "row 1: not CSV"},
		{"JSON that ends", `{"prediction":`, spec.Binary, "row 1: not a JSON object of numbers"},
		{"JSON's NaN as Python prints it", "{\"prediction\": 0.5}\n{\"prediction\": NaN}", spec.Binary, "row 2: not a JSON object of numbers"},
		{"a null", `{"prediction": null}`, spec.Binary, `row 1: column "prediction": observed "", want a number`},
		{"another column later", "{\"no\":0,\"yes\":1}\n{\"no\":0,\"maybe\":1}", spec.Binary, `row 2: column "yes" is missing`},
		{"a column less later", "{\"no\":0,\"yes\":1}\n{\"no\":0}", spec.Binary, "row 2: observed 1 columns, row 1 has 2"},
		{"one long line", `{"prediction": 0.` + strings.Repeat("1", 2<<20) + "}", spec.Binary, "row 1: the line is too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadPredictions(strings.NewReader(c.text), answers(c.task), 2)
			if _, ok := errors.AsType[*PredictionsError](err); !ok || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("observed %T: %v\nwant %s", err, err, c.says)
			}
			if len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestABrokenDiskIsNotWhatTheProgramAnswered(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("prediction\n1\n"), failing{})
	_, err := ReadPredictions(broken, answers(spec.Binary), 2)
	if _, ok := errors.AsType[*PredictionsError](err); ok || !errors.Is(err, errDisk) {
		t.Fatalf("observed %v", err)
	}
}

var errDisk = errors.New("disk")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errDisk }

func FuzzReadPredictions(f *testing.F) {
	for _, text := range []string{
		"prediction\n0.25\n1\n", "yes,no\n0.25,0.75\n1,0\n", "b,\"c, d\",a\n0.2,0.3,0.5\n0,1,0\n", `{"prediction": 0.25}`, "{\"a\":0,\"b\":0,\"c, d\":1}\n{}",
		"\xef\xbb\xbf{", "\"", "a,b\n\"\"\"", "prediction\n0x1p-2\n1_0\n",
	} {
		for kind := range uint8(3) {
			f.Add([]byte(text), kind, uint8(2))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, kind, rows uint8) {
		s := answers([]spec.Task{spec.Binary, spec.Multiclass, spec.Regression}[kind%3])
		got, err := ReadPredictions(bytes.NewReader(text), s, int(rows))
		if err != nil {
			if _, ok := errors.AsType[*PredictionsError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if len(got) != int(rows)*s.Outputs() {
			t.Fatalf("%d scores of %d rows", len(got), rows)
		}
		if err := s.CheckScores(got, 1); err != nil {
			t.Fatal(err)
		}
		// What was taken is the same when it is written again.
		var again strings.Builder
		names := s.Classes
		if s.Task != spec.Multiclass {
			names = []string{"prediction"}
		}
		for i, v := range got {
			if i%len(names) == 0 {
				again.WriteString("{")
			}
			fmt.Fprintf(&again, "%q:%g", names[i%len(names)], v)
			if i%len(names) == len(names)-1 {
				again.WriteString("}\n")
			} else {
				again.WriteString(",")
			}
		}
		if rows == 0 {
			return
		}
		back, err := ReadPredictions(strings.NewReader(again.String()), s, int(rows))
		if err != nil || !slices.EqualFunc(back, got, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }) {
			t.Fatalf("observed %v, %v, want %v", back, err, got)
		}
	})
}
