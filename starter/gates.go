package main

import (
	"math"

	"github.com/leanloop/leanloop/internal/evaluation"
)

// gatesTable draws each gate with what was observed and what it allows.
func gatesTable(p *page, reasons []evaluation.Reason) {
	if len(reasons) == 0 {
		return
	}
	p.line("")
	t := newTable("GATE", "OUTCOME", "OBSERVED", "LIMIT", "").alignRight(2, 3)
	for _, r := range reasons {
		limit, message := "-", ""
		if !math.IsNaN(r.Limit) {
			limit = number(r.Limit)
		}
		if r.Outcome != evaluation.Pass || math.IsNaN(r.Observed) {
			message = clip(r.Message, 100)
		}
		observed := "-"
		if !math.IsNaN(r.Observed) {
			observed = number(r.Observed)
		}
		t.add(r.Gate, mark(r.Outcome), observed, limit, message)
	}
	p.table(t)
}
