package suite

// Result is what holding rows to a suite found, in the shape in which Great Expectations 1.x states it.
type Result struct {
	Success    bool       `json:"success"`
	Results    []Outcome  `json:"results"`
	SuiteName  string     `json:"suite_name"`
	Statistics Statistics `json:"statistics"`
	Meta       Meta       `json:"meta"`
}

// Meta says who found it.
type Meta struct {
	Generator string `json:"generator"` // leanloop
	Rows      int64  `json:"rows"`
}

// Statistics counts the outcomes.
type Statistics struct {
	Evaluated      int     `json:"evaluated_expectations"`
	Successful     int     `json:"successful_expectations"`
	Unsuccessful   int     `json:"unsuccessful_expectations"`
	SuccessPercent float64 `json:"success_percent"`
}

// Config is an expectation as results repeat it.
type Config struct {
	Type     string         `json:"type"`
	Kwargs   Kwargs         `json:"kwargs"`
	Meta     map[string]any `json:"meta"`
	Severity string         `json:"severity"`
}

// Outcome is one expectation and what was found.
type Outcome struct {
	Success   bool      `json:"success"`
	Config    Config    `json:"expectation_config"`
	Found     Found     `json:"result"`
	Exception Exception `json:"exception_info"`
	Meta      struct{}  `json:"meta"`
}

// Exception says why an expectation couldn't be held to this table.
type Exception struct {
	Raised  bool    `json:"raised_exception"`
	Message *string `json:"exception_message"`
	Trace   *string `json:"exception_traceback"`
}

// Found is the result of one expectation. Counts of elements are there for Rows, Pairs and Records, ObservedValue for
// Table and Aggregate. Percentages are null where there is nothing to divide by.
type Found struct {
	ElementCount        *int64   `json:"element_count,omitempty"`
	UnexpectedCount     *int64   `json:"unexpected_count,omitempty"`
	UnexpectedPercent   *float64 `json:"unexpected_percent,omitempty"` // of those that aren't missing
	PartialUnexpected   []any    `json:"partial_unexpected_list,omitempty"`
	PartialIndex        []int64  `json:"partial_unexpected_index_list,omitempty"` // rows, counted from 0
	MissingCount        *int64   `json:"missing_count,omitempty"`
	MissingPercent      *float64 `json:"missing_percent,omitempty"`
	UnexpectedOfTotal   *float64 `json:"unexpected_percent_total,omitempty"`
	UnexpectedOfPresent *float64 `json:"unexpected_percent_nonmissing,omitempty"`
	PartialMissing      []any    `json:"partial_missing_list,omitempty"` // values of a set that the column lacks
	ObservedValue       any      `json:"observed_value,omitempty"`
	Details             any      `json:"details,omitempty"`
}

// PartialCount is how many unexpected values a result lists, as in Great Expectations.
const PartialCount = 20

// NewResult sums up outcomes.
func NewResult(name string, rows int64, outcomes []Outcome) *Result {
	r := &Result{Success: true, Results: outcomes, SuiteName: name, Meta: Meta{Generator: "leanloop", Rows: rows}}
	r.Statistics.Evaluated = len(outcomes)
	for _, o := range outcomes {
		if o.Success {
			r.Statistics.Successful++
		} else {
			r.Statistics.Unsuccessful++
			r.Success = false
		}
	}
	if len(outcomes) > 0 {
		r.Statistics.SuccessPercent = 100 * float64(r.Statistics.Successful) / float64(len(outcomes))
	}
	return r
}
