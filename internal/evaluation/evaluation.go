// Package evaluation says how good a model is and whether that is good enough: metrics, the paired comparison with
// the champion, the difference between groups, and the verdict of the gates.
//
// It is pure: data, seeds and limits are arguments. It must never do I/O, read a clock or draw a random number that
// its arguments don't fix, so that the same evidence gives the same verdict for ever.
//
// Undefined is not zero. A metric that has no value on the judged rows (ROC AUC on one class, precision when nothing
// was predicted positive) is NaN, and a gate on it fails. Values, Reason and DisparityResult therefore carry NaN and
// infinities through JSON, which has no such numbers, as the strings "NaN", "+Inf" and "-Inf".
package evaluation

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/spec"
)

// The metrics. Accuracy to ROCAUC judge classifiers, RMSE to R2 regressions.
const (
	Accuracy  = "accuracy"
	Precision = "precision"
	Recall    = "recall"
	F1        = "f1"
	LogLoss   = "log_loss"
	ROCAUC    = "roc_auc"
	RMSE      = "rmse"
	MAE       = "mae"
	R2        = "r2"
)

// MetricNames are the metrics that a task has, in the order in which people read them.
func MetricNames(task spec.Task) []string {
	if task == spec.Regression {
		return []string{RMSE, MAE, R2}
	}
	return []string{Accuracy, Precision, Recall, F1, LogLoss, ROCAUC}
}

// SmallerIsBetter reports whether a smaller value of the metric is the better one: log_loss, rmse, mae and every
// latency.
func SmallerIsBetter(metric string) bool {
	switch metric {
	case LogLoss, RMSE, MAE:
		return true
	}
	return strings.HasPrefix(metric, "latency_")
}

// knownMetric is an error that lists the task's metrics where metric is none of them.
func knownMetric(task spec.Task, metric string) error {
	names := MetricNames(task)
	if slices.Contains(names, metric) {
		return nil
	}
	return fmt.Errorf("metric %q is unknown for a %s task: use one of %s", metric, task, strings.Join(names, ", "))
}

// undefinedBecause says in which case a metric has no value.
func undefinedBecause(metric string) string {
	switch metric {
	case Precision:
		return "no row was predicted positive"
	case Recall:
		return "no row is positive"
	case F1:
		return "no row is positive or was predicted so"
	case ROCAUC:
		return "the rows have one class only"
	case R2:
		return "the target is constant"
	}
	return "no rows, or a prediction is not a number"
}

// Values are metrics by name. It is a map[string]float64 that JSON can carry: NaN and infinities are strings there.
type Values map[string]float64

// MarshalJSON writes the values in the order of their names.
func (v Values) MarshalJSON() ([]byte, error) {
	out := make(map[string]jsonFloat, len(v))
	for name, x := range v {
		out[name] = jsonFloat(x)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote; null is NaN.
func (v *Values) UnmarshalJSON(b []byte) error {
	var in map[string]jsonFloat
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("metric values: %w", err)
	}
	*v = make(Values, len(in))
	for name, x := range in {
		(*v)[name] = float64(x)
	}
	return nil
}

// Finite is a copy without the values that aren't finite, for places that take plain JSON numbers.
func (v Values) Finite() map[string]float64 {
	out := make(map[string]float64, len(v))
	for name, x := range v {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			out[name] = x
		}
	}
	return out
}

// jsonFloat is a float64 whose JSON form is a number where it is finite, else a string.
type jsonFloat float64

func (f jsonFloat) MarshalJSON() ([]byte, error) {
	switch x := float64(f); {
	case math.IsNaN(x):
		return []byte(`"NaN"`), nil
	case math.IsInf(x, 1):
		return []byte(`"+Inf"`), nil
	case math.IsInf(x, -1):
		return []byte(`"-Inf"`), nil
	default:
		return json.Marshal(x)
	}
}

func (f *jsonFloat) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`, "null":
		*f = jsonFloat(math.NaN())
	case `"+Inf"`:
		*f = jsonFloat(math.Inf(1))
	case `"-Inf"`:
		*f = jsonFloat(math.Inf(-1))
	default:
		var x float64
		if err := json.Unmarshal(b, &x); err != nil {
			return fmt.Errorf("number: observed %s, expected a number, \"NaN\", \"+Inf\" or \"-Inf\"", b)
		}
		*f = jsonFloat(x)
	}
	return nil
}
