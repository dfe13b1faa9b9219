package inference

import (
	"context"
	"errors"
	"fmt"

	"github.com/leanloop/leanloop/internal/onnx"
)

// Loader reads versions of every format. The formats that are scored in Go need nothing but Limits; each of the others
// needs the runtime that scores it, and says so where it has none. A nil Loader, and the zero one, read the former.
type Loader struct {
	Limits Limits
	Remote Runtime      // of format remote; nil: no server is asked
	ONNX   onnx.Runtime // runs versions of FormatONNX; nil: they can't be loaded
}

// ContextScorer is a Scorer that waits for another process or machine, so that who asks may stop waiting.
type ContextScorer interface {
	Scorer
	// ScoreContext is Score until ctx ends: then it returns ctx's error, and nothing is written to out afterwards.
	ScoreContext(ctx context.Context, x []float64, rows int, out []float64) error
}

// Load reads a version's files: signature.json, and those that its format is scored from (ModelFileOf). Errors of the
// files are *FormatError, and say which of them is missing, broken, over a limit or doesn't fit the other. What a
// scorer runs outside this process is started, and lives until the model is closed; ctx bounds the start alone.
func (l *Loader) Load(ctx context.Context, files map[string][]byte) (*Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	raw, ok := files[SignatureFile]
	if !ok {
		return nil, &FormatError{SignatureFile, errors.New("the file is missing")}
	}
	signature, err := ParseSignature(raw)
	if err != nil {
		return nil, err
	}
	name := ModelFileOf(signature.Format)
	data, ok := files[name]
	if !ok {
		return nil, &FormatError{name, errors.New("the file is missing")}
	}
	switch signature.Format {
	case FormatONNX:
		return l.loadONNX(ctx, signature, data)
	case FormatCommand:
		return nil, &FormatError{SignatureFile, ErrByFile}
	case FormatRemote:
		return l.loadRemote(ctx, signature, data)
	}
	file, err := Inspect(data, l.limits())
	if err != nil {
		return nil, err
	}
	return NewModel(signature, file)
}

func (l *Loader) limits() Limits {
	if l == nil {
		return Limits{}
	}
	return l.Limits
}

// Load is Loader.Load for the formats that are scored in Go.
func Load(files map[string][]byte, lim Limits) (*Model, error) {
	return (&Loader{Limits: lim}).Load(context.Background(), files)
}

// ModelFileOf is the name of the file that a version of the given format is scored from, beside its signature.json.
func ModelFileOf(format string) string {
	switch format {
	case FormatONNX:
		return ONNXFile
	case FormatCommand:
		return CommandFile
	case FormatRemote:
		return RemoteFile
	}
	return ModelFile
}

// ReadFiles reads what Load needs of a version, by its signature's format. A signature that can't be parsed is read
// alone: Load says what is wrong with it.
func ReadFiles(read func(name string) ([]byte, error)) (map[string][]byte, error) {
	raw, err := read(SignatureFile)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{SignatureFile: raw}
	signature, err := ParseSignature(raw)
	if err != nil {
		return files, nil
	}
	name := ModelFileOf(signature.Format)
	if files[name], err = read(name); err != nil {
		return nil, err
	}
	return files, nil
}

// Score is Scorer.Score, until ctx ends where the scorer waits for something.
func (m *Model) Score(ctx context.Context, x []float64, rows int, out []float64) error {
	if s, ok := m.Scorer.(ContextScorer); ok {
		return s.ScoreContext(ctx, x, rows, out)
	}
	return m.Scorer.Score(x, rows, out)
}

// Waits says whether the scorer waits for something outside this process: then Score ends with its context.
func (m *Model) Waits() bool {
	_, waits := m.Scorer.(ContextScorer)
	return waits
}

// Closes says whether the model holds something outside the memory that Close releases.
func (m *Model) Closes() bool { return m.release != nil }

// Close releases what the scorer runs outside this process, if anything. Nothing may be scored after it. Closing twice
// is closing once.
func (m *Model) Close() error {
	if m == nil || m.release == nil {
		return nil
	}
	if err := m.release(); err != nil {
		return fmt.Errorf("close the model of %q: %w", m.Signature.Output, err)
	}
	return nil
}
