package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/leanloop/leanloop/internal/nearest"
)

// AllMetrics lists every metric that a gate may bound.
func AllMetrics() []string {
	return append(append(classMetrics(), valueMetrics()...), latencyMetrics()...)
}

func classMetrics() []string {
	return []string{"accuracy", "precision", "recall", "f1", "log_loss", "roc_auc"}
}

func valueMetrics() []string { return []string{"rmse", "mae", "r2"} }

// latencyMetrics are measured on single rows in the evaluation, in milliseconds.
func latencyMetrics() []string { return []string{"latency_p50_ms", "latency_p99_ms"} }

// IsLatency says whether a metric is one of them.
func IsLatency(metric string) bool { return slices.Contains(latencyMetrics(), metric) }

// QualityMetrics lists what is measured on a task's predictions and labels.
func (t Task) QualityMetrics() []string {
	if t == Regression {
		return valueMetrics()
	}
	return classMetrics()
}

// DefaultComparison is the metric by which champion and challenger are compared where the spec doesn't say.
func (t Task) DefaultComparison() string {
	switch t {
	case Multiclass:
		return "log_loss"
	case Regression:
		return "rmse"
	}
	return "roc_auc"
}

// DefaultQuality is the metric that the quality monitor watches where the spec doesn't say.
func (t Task) DefaultQuality() string {
	if t == Regression {
		return "r2"
	}
	return "f1"
}

// LargerIsBetter says which way a metric improves. Unknown metrics don't.
func LargerIsBetter(metric string) bool {
	switch metric {
	case "accuracy", "precision", "recall", "f1", "roc_auc", "r2":
		return true
	}
	return false
}

// Names are the bounded metrics in order.
func (g Gates) Names() []string { return slices.Sorted(maps.Keys(g.Metrics)) }

// fixedGates are the parts of Gates that aren't metrics.
type fixedGates struct {
	Disparity *Disparity   `json:"disparity"`
	Champion  ChampionGate `json:"champion"`
}

// MarshalJSON writes the metrics beside disparity and champion, as the YAML has them.
func (g Gates) MarshalJSON() ([]byte, error) {
	flat := map[string]any{"champion": g.Champion}
	if g.Disparity != nil {
		flat["disparity"] = g.Disparity
	}
	for name, b := range g.Metrics {
		flat[name] = b
	}
	return json.Marshal(flat)
}

// UnmarshalJSON reads what MarshalJSON writes; an unknown metric is an error.
func (g *Gates) UnmarshalJSON(raw []byte) error {
	var fixed fixedGates
	if err := json.Unmarshal(raw, &fixed); err != nil {
		return err
	}
	var flat map[string]json.RawMessage
	if err := json.Unmarshal(raw, &flat); err != nil {
		return err
	}
	out := Gates{Disparity: fixed.Disparity, Champion: fixed.Champion}
	for name, value := range flat {
		if name == "disparity" || name == "champion" {
			continue
		}
		if !slices.Contains(AllMetrics(), name) {
			return fmt.Errorf("gates: unknown metric %q (%s)", name, nearest.Hint(name, AllMetrics()))
		}
		var b Bound
		if err := json.Unmarshal(value, &b); err != nil {
			return fmt.Errorf("gates.%s: %w", name, err)
		}
		if out.Metrics == nil {
			out.Metrics = map[string]Bound{}
		}
		out.Metrics[name] = b
	}
	*g = out
	return nil
}

// MarshalYAML writes the metrics beside disparity and champion.
func (g Gates) MarshalYAML() (any, error) {
	flat := map[string]any{"champion": g.Champion}
	if g.Disparity != nil {
		flat["disparity"] = g.Disparity
	}
	for name, b := range g.Metrics {
		flat[name] = b
	}
	return flat, nil
}
