package inference

import "fmt"

// FormatError says that a model file or signature can't be used: File names it, Err says why.
type FormatError struct {
	File string
	Err  error
}

func (e *FormatError) Error() string { return e.File + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *FormatError) Unwrap() error { return e.Err }

// MissingFeature says that a row or table lacks a feature that the signature names.
type MissingFeature struct{ Feature string }

func (e *MissingFeature) Error() string {
	return fmt.Sprintf("feature %q is missing (send null where its value is not known)", e.Feature)
}

// FeatureType says that a feature's value has a type that its kind can't take.
type FeatureType struct {
	Feature string
	Want    string // the kind by the signature, and its forms
	Got     string // the type or value observed
}

func (e *FeatureType) Error() string {
	return fmt.Sprintf("feature %q: observed %s, want %s", e.Feature, e.Got, e.Want)
}

// UnknownCategory says that a feature that refuses categories it doesn't know got one. Row is 0-based, of a table; -1:
// there is one row only.
type UnknownCategory struct {
	Feature string
	Row     int
	Got     string // the type and value observed
	Known   int    // how many categories the feature knows
}

func (e *UnknownCategory) Error() string {
	row := ""
	if e.Row >= 0 {
		row = fmt.Sprintf("row %d: ", e.Row+1)
	}
	return fmt.Sprintf("%sfeature %q: observed %s, want one of its %d known categories, or null", row, e.Feature, e.Got, e.Known)
}

// RowError says that a row holds what the model can't be asked. Row is 0-based.
type RowError struct {
	Row int
	Err error
}

func (e *RowError) Error() string { return fmt.Sprintf("row %d: %v", e.Row+1, e.Err) }

// Unwrap gives the cause.
func (e *RowError) Unwrap() error { return e.Err }

// UnknownClass says that a target value is none of the signature's classes. Row is 0-based.
type UnknownClass struct {
	Target  string
	Row     int
	Value   string
	Classes []string
}

func (e *UnknownClass) Error() string {
	return fmt.Sprintf("target %q, row %d: observed %q, not one of the model's classes %q", e.Target, e.Row+1, e.Value, e.Classes)
}

// PassingError says that what failed is a machine, a connection or another server, not the model or the rows: the same may
// succeed later or elsewhere.
type PassingError struct{ Err error }

func (e *PassingError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *PassingError) Unwrap() error { return e.Err }
