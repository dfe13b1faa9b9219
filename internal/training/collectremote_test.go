package training

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/leanloop/leanloop/internal/inference"
)

// elsewhere is a runtime that scores every row alike.
type elsewhere struct {
	file []byte
	err  error // of opening, and of scoring
	late bool  // only of the latter
}

func (e *elsewhere) Open(_ context.Context, s inference.Signature, file []byte) (inference.ContextScorer, error) {
	e.file = file
	if e.err != nil && !e.late {
		return nil, e.err
	}
	return e, nil
}

func (e *elsewhere) Outputs() int { return 1 }

func (e *elsewhere) Score(x []float64, rows int, out []float64) error {
	return e.ScoreContext(context.Background(), x, rows, out)
}

func (e *elsewhere) ScoreContext(_ context.Context, _ []float64, rows int, out []float64) error {
	for i := range rows {
		out[i] = 0.25
	}
	return e.err
}

const deployed = `printf '{"url":"http://triton:8000","model":"m"}' > "$SM_MODEL_DIR/remote.json"` + "\n"

func TestAModelThatATrainerDeployedIsTriedWhereItIs(t *testing.T) {
	s, in := program(t, deployed)
	e := &elsewhere{}
	s.Loader = &inference.Loader{Remote: e}
	out, err := RunCommand(context.Background(), s, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(out.Model) != `{"url":"http://triton:8000","model":"m"}` || string(e.file) != string(out.Model) {
		t.Errorf("observed %s", out.Model)
	}
	if out.Signature.Format != inference.FormatRemote || len(out.Signature.Inputs) != len(in.Features) || out.Metrics["log_loss"] == 0 {
		t.Errorf("observed %+v, %v", out.Signature, out.Metrics)
	}
}

func TestAServerThatCantBeReachedIsNoFaultOfTheScript(t *testing.T) {
	gone := &inference.PassingError{Err: errors.New("connection refused")}
	for name, c := range map[string]struct {
		script  string
		runtime inference.Runtime
		cause   Cause
		says    string
	}{
		"away when it is loaded":      {deployed, &elsewhere{err: gone}, CauseInfrastructure, "trainer's model: connection refused"},
		"away when it is asked":       {deployed, &elsewhere{err: gone, late: true}, CauseInfrastructure, "trainer's model: connection refused"},
		"a model that doesn't fit":    {deployed, &elsewhere{err: errors.New("no such tensor")}, CauseScript, "no such tensor"},
		"nobody may be asked":         {deployed, nil, CauseScript, "start this program with --remote-hosts"},
		"a remote.json that's a link": {`ln -s /etc/passwd "$SM_MODEL_DIR/remote.json"`, nil, CauseScript, "not a regular file"},
		"a signature of another format": {deployed + `printf '{"version":1,"format":"command","task":"binary","output":"target","classes":["0","1"],"inputs":[{"name":"n0","kind":"number"}]}' > "$SM_MODEL_DIR/signature.json"`,
			&elsewhere{}, CauseScript, "signature.json: format: observed command, want remote"},
	} {
		t.Run(name, func(t *testing.T) {
			s, in := program(t, c.script)
			s.Loader = &inference.Loader{Remote: c.runtime}
			_, err := RunCommand(context.Background(), s, in, nil)
			if err == nil || Classify(err) != c.cause || !strings.Contains(err.Error(), c.says) {
				t.Errorf("observed cause %d: %v\nwant %s", Classify(err), err, c.says)
			}
		})
	}
}
