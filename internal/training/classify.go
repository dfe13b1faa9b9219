package training

import "errors"

// Cause is what a failed run is counted on.
type Cause int

// The causes.
const (
	CauseInfrastructure Cause = iota // another attempt may succeed elsewhere
	CauseInput                       // these rows, parameters or this model can't work: another attempt can't help
	CauseScript                      // the program failed
	CauseTimeout                     // the program took too long
)

// InputError says that what a run was given can't be trained with.
type InputError struct {
	What     string // train.secrets
	Observed string
	Limit    string
}

func (e *InputError) Error() string { return e.What + ": " + e.Observed + ", want: " + e.Limit }

// Classify says what an error of Builtin or RunCommand is counted on.
func Classify(err error) Cause {
	for _, permanent := range []func(error) bool{
		is[*UnknownName], is[*ParamError], is[*DataError], is[*InputError],
	} {
		if permanent(err) {
			return CauseInput
		}
	}
	switch {
	case is[*TimeoutError](err):
		return CauseTimeout
	case timedOut(err):
		return CauseTimeout
	case is[*ScriptError](err), is[*NoModelError](err), is[*ModelError](err), is[*LimitError](err), is[*ProgramError](err), is[*PredictionsError](err):
		return CauseScript
	default:
		return CauseInfrastructure
	}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func timedOut(err error) bool {
	failed, ok := errors.AsType[*ProgramError](err)
	return ok && failed.Timeout > 0
}
