package evaluation

import (
	"encoding/json"
	"math"
	"strings"
)

// The outcomes of a gate and of a verdict. The worst of all gates is the verdict's: fail, then inconclusive, then
// pass.
const (
	Pass         = "pass"
	Fail         = "fail"
	Inconclusive = "inconclusive" // nobody can tell: a person is asked
)

// Input is the evidence that Judge takes.
type Input struct {
	// Metrics of the challenger on the judged rows, latencies among them.
	Metrics Values `json:"metrics"`
	// NoLatency is why latencies weren't measured although nothing is wrong; "": they were, or should have been.
	NoLatency string `json:"no_latency,omitempty"`
	// HasChampion is whether a champion serves. Without one only the absolute gates count.
	HasChampion bool `json:"has_champion"`
	// ChampionUnscorable is why the champion can't score the judged rows; "": it can.
	ChampionUnscorable string `json:"champion_unscorable,omitempty"`
	// Comparison with the champion; nil: none was made, and ComparisonProblem says why.
	Comparison *Comparison `json:"comparison,omitempty"`
	// ComparisonProblem is why there is no comparison although the champion can score (ErrUndefined's text).
	ComparisonProblem string `json:"comparison_problem,omitempty"`
	// UnknownTraining is why nobody knows which rows a model was trained on, so that no row is known to be a fair one; "":
	// it is known. Then the metrics are of all test rows, and the verdict is inconclusive at best.
	UnknownTraining string `json:"unknown_training,omitempty"`
	// JudgedRows is how many test rows are left that neither model was trained on; under MinRows the verdict is
	// inconclusive at best. MinRows 0: any number will do.
	JudgedRows int `json:"judged_rows"`
	MinRows    int `json:"min_rows"`
	// Disparity is needed where the gates have one.
	Disparity *DisparityResult `json:"disparity,omitempty"`
}

// Verdict is what the gates say.
type Verdict struct {
	Outcome string   `json:"outcome"` // pass | inconclusive | fail
	Reasons []Reason `json:"reasons"` // one for each bound, in a fixed order
	// NeedsAttention is set where the outcome is pass and yet a person must know something before approving: the
	// champion couldn't be compared.
	NeedsAttention bool `json:"needs_attention,omitempty"`
}

// Reason is one gate's outcome.
type Reason struct {
	Gate     string // f1.min | latency_p99_ms.max | disparity.recall.max | champion.roc_auc | judged_rows.min
	Outcome  string
	Observed float64 // NaN: undefined
	Limit    float64 // NaN: the gate has none
	Message  string  // "gate f1.min: observed 0.6512 < 0.7"
}

// Messages are the messages of the reasons with the outcome, in order.
func (v Verdict) Messages(outcome string) []string {
	var out []string
	for _, r := range v.Reasons {
		if r.Outcome == outcome {
			out = append(out, r.Message)
		}
	}
	return out
}

// Summary is one line: the outcome and the messages that made it.
func (v Verdict) Summary() string {
	if v.Outcome == Pass {
		return Pass
	}
	return v.Outcome + ": " + strings.Join(v.Messages(v.Outcome), "; ")
}

// add appends a reason and lowers the outcome to it where it is worse.
func (v *Verdict) add(r Reason) {
	v.Reasons = append(v.Reasons, r)
	if r.Outcome == Fail || (r.Outcome == Inconclusive && v.Outcome == Pass) {
		v.Outcome = r.Outcome
	}
}

// reasonJSON is Reason as JSON carries it.
type reasonJSON struct {
	Gate     string     `json:"gate"`
	Outcome  string     `json:"outcome"`
	Observed jsonFloat  `json:"observed"`
	Limit    *jsonFloat `json:"limit,omitempty"`
	Message  string     `json:"message"`
}

// MarshalJSON writes NaN and infinities as strings, and leaves out a limit that isn't there.
func (r Reason) MarshalJSON() ([]byte, error) {
	out := reasonJSON{Gate: r.Gate, Outcome: r.Outcome, Observed: jsonFloat(r.Observed), Message: r.Message}
	if !math.IsNaN(r.Limit) {
		limit := jsonFloat(r.Limit)
		out.Limit = &limit
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Reason) UnmarshalJSON(b []byte) error {
	in := reasonJSON{Observed: jsonFloat(math.NaN())}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*r = Reason{Gate: in.Gate, Outcome: in.Outcome, Observed: float64(in.Observed), Limit: math.NaN(), Message: in.Message}
	if in.Limit != nil {
		r.Limit = float64(*in.Limit)
	}
	return nil
}
