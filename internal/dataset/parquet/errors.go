package parquet

import "fmt"

// Fault says in which way a file can't be read.
type Fault uint8

// The faults.
const (
	Damaged     Fault = iota // the bytes contradict the format or themselves, or end early
	TooMuch                  // one of Limits
	Unsupported              // right, and nothing that is read here
)

// Error says why a file can't be read. Reading again doesn't help. An error of the file's io.ReaderAt is none: it is
// passed on as it is.
type Error struct {
	Fault    Fault
	Column   string // "": the file as a whole
	Observed string
	Limit    string
}

func (e *Error) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("parquet: observed %s, want %s", e.Observed, e.Limit)
	}
	return fmt.Sprintf("parquet: column %s: observed %s, want %s", e.Column, e.Observed, e.Limit)
}

// damaged is a file that contradicts the format.
func damaged(observed, limit string) *Error {
	return &Error{Fault: Damaged, Observed: observed, Limit: limit}
}

// tooMuch is a file that asks for more than n of what.
func tooMuch(got, n int64, what string) *Error {
	return &Error{Fault: TooMuch, Observed: fmt.Sprintf("%d %s", got, what), Limit: fmt.Sprintf("at most %d", n)}
}

// unsupported is a file that uses what isn't read here.
func unsupported(observed, limit string) *Error {
	return &Error{Fault: Unsupported, Observed: observed, Limit: limit}
}

// in names the column, where the error doesn't yet.
func (e *Error) in(column string) *Error {
	if e.Column == "" {
		e.Column = column
	}
	return e
}
