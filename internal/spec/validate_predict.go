package spec

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxPredictTimeout leaves an evaluation time for two predictions, the champion's and the challenger's.
const maxPredictTimeout = Duration(50 * time.Minute)

func (c *checker) predict(m *Model) {
	p := m.Predict
	if len(p.Command) == 0 {
		c.must(p.Timeout == 0, "predict.timeout", "%s has no effect | add predict.command", p.Timeout)
		return
	}
	c.must(len(m.Train.Command) > 0, "predict.command", "needs train.command: what a built-in trainer makes is scored in Go | leave it out")
	for i, arg := range p.Command {
		path := fmt.Sprintf("predict.command[%d]", i)
		c.must(i > 0 || arg != "", path, "the program's name is empty")
		c.must(!strings.ContainsRune(arg, 0), path, "contains a zero byte")
	}
	c.must(p.Timeout > 0 && p.Timeout <= maxPredictTimeout, "predict.timeout", "%s isn't over 0s and at most %s", p.Timeout, maxPredictTimeout)
}

// unserved says that no request can reach a version of this model: gateways don't run programs. What serving.command drives may.
func (m *Model) unserved() bool { return len(m.Predict.Command) > 0 && !m.Serving.Driven() }

// boundsLatency reports whether a gate bounds what is measured on single rows.
func (g Gates) boundsLatency() bool {
	return slices.ContainsFunc(g.Names(), IsLatency)
}
