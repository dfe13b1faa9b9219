package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// pythonVariable names the Python that has the peers: pandas, polars, great_expectations, numpy, evidently, optuna,
// xgboost, scikit-learn. What it lacks is left out of the comparison, and said.
const pythonVariable = "LEANLOOP_BENCH_PYTHON"

// peer is a Python process that does one piece of work at a time, so that both sides take turns within one run.
type peer struct {
	asks *json.Encoder
	says *bufio.Reader
}

// answer is what a peer measured.
type answer struct {
	Seconds float64   `json:"seconds"`
	Version string    `json:"version"`
	Found   []float64 `json:"found"`
	Error   string    `json:"error"`
}

func benchPython() string { return either(os.Getenv(pythonVariable), "python3") }

// newPeer starts a peer that may use the given number of threads.
func newPeer(b *testing.B, threads int) *peer {
	cmd := exec.Command(benchPython(), "peers/peers.py")
	cmd.Env = os.Environ()
	for _, name := range []string{"POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS"} {
		cmd.Env = append(cmd.Env, name+"="+strconv.Itoa(threads))
	}
	if threads == 1 { // for a library that counts cores itself
		if taskset, err := exec.LookPath("taskset"); err == nil {
			cmd.Path, cmd.Args = taskset, append([]string{taskset, "-c", "0"}, cmd.Args...)
		}
	}
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &peer{asks: json.NewEncoder(in), says: bufio.NewReader(out)}
}

// do has the peer work once. ok is false, and the log says why, where it can't.
func (p *peer) do(b *testing.B, work string, arguments map[string]any) (answer, bool) {
	asked := map[string]any{"work": work}
	for name, value := range arguments {
		asked[name] = value
	}
	require.NoError(b, p.asks.Encode(asked))
	line, err := p.says.ReadBytes('\n')
	if err != nil {
		b.Logf("%s: the peer went away: %v (%s names a Python)", work, err, pythonVariable)
		return answer{}, false
	}
	var out answer
	require.NoError(b, json.Unmarshal(line, &out), string(line))
	if out.Error != "" {
		b.Logf("%s left out: %s", work, out.Error)
		return answer{}, false
	}
	return out, true
}

// race times our work and the peers' in turn, b.N rounds after one that isn't counted, and reports how many times our
// time each peer took. A peer's work named in once is done in the first counted round only.
type race struct {
	ours    func() float64 // seconds
	peers   []*contender
	threads int
}

type contender struct {
	name      string
	work      string
	arguments map[string]any
	once      bool
	least     float64 // seconds
	version   string
	found     []float64
}

// run reports the least time of each side: what else the machine does can only add to it.
func (r race) run(b *testing.B) {
	p := newPeer(b, r.threads)
	for _, c := range r.peers {
		if !c.once {
			p.do(b, c.work, c.arguments)
		}
	}
	r.ours()
	ours := 0.0
	for round := 0; b.Loop(); round++ {
		if t := r.ours(); ours == 0 || t < ours {
			ours = t
		}
		for _, c := range r.peers {
			if c.once && round > 0 {
				continue
			}
			if got, ok := p.do(b, c.work, c.arguments); ok && (c.least == 0 || got.Seconds < c.least) {
				c.least, c.version, c.found = got.Seconds, got.Version, got.Found
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of a round: says nothing
	b.ReportMetric(ours, "s")
	for _, c := range r.peers {
		if c.least > 0 {
			b.ReportMetric(c.least/ours, fmt.Sprintf("%s/ours", c.name))
			b.Logf("%s %s: %.3f s, ours %.3f s", c.name, c.version, c.least, ours)
		}
	}
}
