package inference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/spec"
)

// SignatureVersion is the version of signature.json that this package writes and reads.
const SignatureVersion = 1

// The model formats that a signature may name.
const (
	FormatXGBoost = "xgboost-json"
	FormatLinear  = "leanloop-linear"
	FormatONNX    = "onnx"

	// FormatCommand is a version that a program of its own predicts by, file by file: no gateway can.
	FormatCommand = "command"
	// FormatRemote is a version that another server scores, by the Open Inference Protocol.
	FormatRemote = "remote"
)

// formats lists them.
func formats() []string {
	return []string{FormatXGBoost, FormatLinear, FormatONNX, FormatCommand, FormatRemote}
}

// The kinds of a Feature, and what a scorer sees of each.
const (
	KindNumber    = "number"    // the value
	KindInteger   = "integer"   // the value
	KindBoolean   = "boolean"   // 0 or 1
	KindCategory  = "category"  // the position in Categories; unknown: as Feature.Unknown says
	KindTimestamp = "timestamp" // seconds since 1970-01-01T00:00:00Z
)

// What a request with a category that isn't among a feature's Categories is.
const (
	UnknownMissing = spec.UnknownMissing // scored as a null
	UnknownRefuse  = spec.UnknownRefuse  // an *UnknownCategory
)

// Feature is one input of a model.
type Feature struct {
	Name       string   `json:"name"`
	Kind       string   `json:"kind"`                 // number | integer | boolean | category | timestamp
	Categories []string `json:"categories,omitempty"` // of a category, in the order of their codes
	Nullable   bool     `json:"nullable,omitempty"`   // nulls were seen in training; a null is scored either way
	Unknown    string   `json:"unknown,omitempty"`    // of a category: missing | refuse; "": missing
}

// Signature is a version's signature.json: what a row must hold, and what the answer means.
type Signature struct {
	Version   int       `json:"version"`
	Format    string    `json:"format"` // xgboost-json | leanloop-linear | onnx | command | remote
	Task      spec.Task `json:"task"`
	Inputs    []Feature `json:"inputs"`              // in the order of the model's columns
	Classes   []string  `json:"classes,omitempty"`   // binary: negative, positive; multiclass: by class index
	Output    string    `json:"output"`              // the target's name
	Threshold float64   `json:"threshold,omitempty"` // binary: a score at or over it is the positive class; default 0.5
}

// ParseSignature reads a signature.json strictly: an unknown field, a second document or a broken rule is an error.
// A binary signature's threshold of 0 or none becomes 0.5.
func ParseSignature(data []byte) (Signature, error) {
	if len(data) > signatureLimit {
		return Signature{}, &FormatError{"signature.json", fmt.Errorf("size: observed %d > limit %d bytes", len(data), signatureLimit)}
	}
	var s Signature
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return Signature{}, &FormatError{"signature.json", err}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Signature{}, &FormatError{"signature.json", errors.New("more data after the document's end")}
	}
	if s.Task == spec.Binary && s.Threshold == 0 {
		s.Threshold = 0.5
	}
	if err := s.Validate(); err != nil {
		return Signature{}, &FormatError{"signature.json", err}
	}
	return s, nil
}

// Marshal writes the signature as signature.json; equal signatures give equal bytes.
func (s Signature) Marshal() ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, &FormatError{"signature.json", err}
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, &FormatError{"signature.json", err}
	}
	return append(data, '\n'), nil
}

// Validate says which rule of a signature is broken.
func (s Signature) Validate() error {
	if s.Version != SignatureVersion {
		return fmt.Errorf("version: observed %d, want %d", s.Version, SignatureVersion)
	}
	if !slices.Contains(formats(), s.Format) {
		return fmt.Errorf("format: observed %q, want one of %s", s.Format, strings.Join(formats(), ", "))
	}
	if len(s.Inputs) == 0 {
		return errors.New("inputs: a model needs at least one feature")
	}
	seen := make(map[string]bool, len(s.Inputs))
	for i, f := range s.Inputs {
		if err := f.validate(); err != nil {
			return fmt.Errorf("inputs[%d]: %w", i, err)
		}
		if seen[f.Name] {
			return fmt.Errorf("inputs[%d]: feature %q is listed twice", i, f.Name)
		}
		seen[f.Name] = true
	}
	return s.validateOutput()
}

func (s Signature) validateOutput() error {
	if err := unique("classes", s.Classes); err != nil {
		return err
	}
	switch s.Task {
	case spec.Binary:
		if len(s.Classes) != 2 {
			return fmt.Errorf("classes: observed %d, a binary model has 2 (negative, positive)", len(s.Classes))
		}
		if math.IsNaN(s.Threshold) || s.Threshold <= 0 || s.Threshold >= 1 {
			return fmt.Errorf("threshold: observed %v, want a number between 0 and 1", s.Threshold)
		}
	case spec.Multiclass:
		if len(s.Classes) < 2 {
			return fmt.Errorf("classes: observed %d, a multiclass model has 2 or more", len(s.Classes))
		}
	case spec.Regression:
		if len(s.Classes) != 0 {
			return fmt.Errorf("classes: observed %d, a regression model has none", len(s.Classes))
		}
	default:
		return fmt.Errorf("task: observed %q, want %s, %s or %s", s.Task, spec.Binary, spec.Multiclass, spec.Regression)
	}
	if s.Task != spec.Binary && s.Threshold != 0 {
		return fmt.Errorf("threshold: observed %v, only a binary model has one", s.Threshold)
	}
	return nil
}

// WithPolicy is the signature with the spec's word on unknown categories for those features that have none of their own.
// A feature that the spec names and that isn't one of the model's categories is an error: nobody would notice it else.
func (s Signature) WithPolicy(serving spec.Serving) (Signature, error) {
	s.Inputs = slices.Clone(s.Inputs)
	categories := map[string]bool{}
	for i := range s.Inputs {
		f := &s.Inputs[i]
		if f.Kind != KindCategory {
			continue
		}
		categories[f.Name] = true
		if f.Unknown == "" && serving.UnknownPolicy(f.Name) == UnknownRefuse {
			f.Unknown = UnknownRefuse
		}
	}
	for _, name := range slices.Sorted(maps.Keys(serving.UnknownCategoriesOf)) {
		if !categories[name] {
			return s, fmt.Errorf("serving.unknown_categories_of: observed %q, want features of kind category that the model has: %q", name, slices.Sorted(maps.Keys(categories)))
		}
	}
	return s, nil
}

// Outputs is the number of scores per row: 1, or the number of classes of a multiclass model.
func (s Signature) Outputs() int {
	if s.Task == spec.Multiclass {
		return len(s.Classes)
	}
	return 1
}

func (f Feature) validate() error {
	if f.Name == "" {
		return errors.New("a feature without a name")
	}
	switch f.Kind {
	case KindNumber, KindInteger, KindBoolean, KindTimestamp:
		if len(f.Categories) != 0 {
			return fmt.Errorf("feature %q: kind %s has no categories", f.Name, f.Kind)
		}
		if f.Unknown != "" {
			return fmt.Errorf("feature %q: unknown: observed %q, kind %s has no categories", f.Name, f.Unknown, f.Kind)
		}
	case KindCategory:
		if len(f.Categories) == 0 {
			return fmt.Errorf("feature %q: kind category needs its categories", f.Name)
		}
		if f.Unknown != "" && f.Unknown != UnknownMissing && f.Unknown != UnknownRefuse {
			return fmt.Errorf("feature %q: unknown: observed %q, want %s or %s", f.Name, f.Unknown, UnknownMissing, UnknownRefuse)
		}
		if err := unique(fmt.Sprintf("feature %q: categories", f.Name), f.Categories); err != nil {
			return err
		}
	default:
		return fmt.Errorf("feature %q: kind: observed %q, want number, integer, boolean, category or timestamp", f.Name, f.Kind)
	}
	return nil
}

func unique(what string, values []string) error {
	seen := make(map[string]bool, len(values))
	for _, v := range values {
		if seen[v] {
			return fmt.Errorf("%s: %q is listed twice", what, v)
		}
		seen[v] = true
	}
	return nil
}
