package inference

import (
	"context"
	"errors"

	"github.com/leanloop/leanloop/internal/dataset"
)

// Runtime scores versions of one format outside this process.
type Runtime interface {
	// Open makes a version ready to answer; file is the one that ModelFileOf names. A *FormatError is final; anything else
	// may pass.
	Open(ctx context.Context, s Signature, file []byte) (ContextScorer, error)
}

// ErrByFile says that a version's rows can't be scored one by one.
var ErrByFile = errors.New("format command is predicted by its own program, file by file, for evaluation and starter score: no gateway can load it; " +
	"to serve it, have a server score it that speaks the Open Inference Protocol (format remote)")

func (l *Loader) loadRemote(ctx context.Context, s Signature, file []byte) (*Model, error) {
	if l == nil || l.Remote == nil {
		return nil, &FormatError{RemoteFile, errors.New("no server may be asked here: start this program with --remote-hosts, or LEANLOOP_REMOTE_HOSTS")}
	}
	scorer, err := l.Remote.Open(ctx, s, file)
	if err != nil {
		return nil, err
	}
	return newModel(s, scorer), nil
}

// NewFileModel is a version that predict scores, table by table: Rows x Outputs() scores, row-major. Its Scorer refuses
// rows with ErrByFile.
func NewFileModel(s Signature, predict func(context.Context, *dataset.Table) ([]float64, error)) (*Model, error) {
	if err := s.Validate(); err != nil {
		return nil, &FormatError{SignatureFile, err}
	}
	m := newModel(s, byFile(s.Outputs()))
	m.predict = predict
	return m, nil
}

// ByFile says whether a model scores tables alone.
func (m *Model) ByFile() bool { return m.predict != nil }

// byFile is the scorer of such a model.
type byFile int

// Outputs is the number of scores per row.
func (b byFile) Outputs() int { return int(b) }

// Score refuses.
func (byFile) Score([]float64, int, []float64) error { return ErrByFile }
