package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// Open reads a remote.json and asks its server for the model: whether it is ready, and what it takes and gives. The
// errors are an *inference.FormatError where the file or what the server says doesn't fit the signature, or the server
// isn't allowed here; an *inference.PassingError where it can't be reached.
func (r *Runtime) Open(ctx context.Context, s inference.Signature, raw []byte) (inference.ContextScorer, error) {
	f, err := ParseFile(raw)
	if err != nil {
		return nil, err
	}
	unfit := func(err error) error { return &inference.FormatError{File: inference.RemoteFile, Err: err} }
	if err := r.allow(f.URL); err != nil {
		return nil, unfit(err)
	}
	d, binary, err := r.look(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", inference.RemoteFile, err)
	}
	p, err := planOf(s, f, d)
	if err != nil {
		return nil, unfit(err)
	}
	p.binary = binary
	return &scorer{runtime: r, file: f, plan: p, signature: s}, nil
}

// scorer asks a server for the scores of rows.
type scorer struct {
	runtime   *Runtime
	file      File
	plan      *plan
	signature inference.Signature
}

// Outputs is the number of scores per row.
func (s *scorer) Outputs() int { return s.signature.Outputs() }

// Score is ScoreContext within the runtime's own time limit for each request.
func (s *scorer) Score(x []float64, rows int, out []float64) error {
	return s.ScoreContext(context.Background(), x, rows, out)
}

// ScoreContext asks for the rows in batches, one after the other. Nothing is written to out but whole answers that hold
// what a model of the signature gives. The errors are an *inference.RowError for a value that the model's input can't
// hold, a *ServerError for rows or requests that the server refuses, an
// *AnswerError, an *inference.PassingError where it can't be reached, or ctx's.
func (s *scorer) ScoreContext(ctx context.Context, x []float64, rows int, out []float64) error {
	width := len(s.signature.Inputs)
	if rows < 0 || len(x) < rows*width || len(out) < rows*s.Outputs() {
		return fmt.Errorf("score: %d values and %d scores for %d rows of %d inputs", len(x), len(out), rows, width)
	}
	for first := 0; first < rows; first += s.file.Batch {
		n := min(s.file.Batch, rows-first)
		scores, err := s.batch(ctx, x[first*width:][:n*width], n, first)
		if err != nil {
			return err
		}
		copy(out[first*s.Outputs():], scores)
	}
	return nil
}

func (s *scorer) batch(ctx context.Context, x []float64, rows, first int) ([]float64, error) {
	body, jsonBytes, err := s.plan.encode(s.signature, x, rows)
	if bad, ok := errors.AsType[*inference.RowError](err); ok {
		bad.Row += first
	}
	if err != nil {
		return nil, err
	}
	address := s.file.path() + "/infer"
	// A number takes 32 bytes in JSON at most, of which twice as many are taken; the rest is what stands around.
	limit := int64(64<<10) + int64(rows)*int64(s.plan.widths[len(s.plan.widths)-1])*64
	got, err := s.runtime.ask(ctx, http.MethodPost, address, body, jsonBytes, limit)
	if err != nil {
		return nil, err
	}
	scores, err := s.scores(got, rows, first)
	if err != nil {
		return nil, &AnswerError{address, err}
	}
	return scores, nil
}

// scores are what an answer means to the signature. Of both classes of a binary model the positive one counts.
func (s *scorer) scores(got answer, rows, first int) ([]float64, error) {
	scores, width, err := s.plan.decode(got, rows)
	if err != nil {
		return nil, err
	}
	checked := s.signature
	if width > s.Outputs() {
		checked.Task = spec.Multiclass
	}
	if err := checked.CheckScores(scores, first+1); err != nil {
		return nil, err
	}
	if width == s.Outputs() {
		return scores, nil
	}
	positive := make([]float64, rows)
	for i := range positive {
		positive[i] = scores[i*width+1]
	}
	return positive, nil
}
