package dataset

import (
	"fmt"
	"hash/maphash"
	"math"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset/spill"
)

// newGroups counts the values of one column, in a file below TempDir beyond the limit.
func newGroups(o CheckOptions) *spill.Groups {
	return spill.NewGroups(spill.Options{Limit: o.limit, Keep: o.Keep, Dir: o.TempDir})
}

// hasher makes keys of values: numbers and times are their own, texts two hashes of 64 bits with seeds of their own.
// Among 10^9 texts the chance that any two agree by accident is below 10^-20.
type hasher struct{ a, b maphash.Seed }

func newHasher() hasher { return hasher{a: maphash.MakeSeed(), b: maphash.MakeSeed()} }

// add counts the rows of a chunk; nulls repeat freely.
func (h hasher) add(g *spill.Groups, c *Column, first int64) error {
	for row := range c.Len() {
		if c.Null(row) {
			continue
		}
		var key spill.Key
		text := ""
		switch {
		case c.Kind.coded():
			text = c.Dict[c.Codes[row]]
			key = spill.Key{maphash.String(h.a, text), maphash.String(h.b, text)}
		case c.Kind == Timestamp:
			key[0] = uint64(c.Times[row])
		default:
			key[0] = math.Float64bits(c.Floats[row] + 0) // -0 becomes 0
		}
		if err := g.Add(key, first+int64(row), text); err != nil {
			return err
		}
	}
	return nil
}

// report fails if there are rows whose value an earlier row has.
func (h hasher) report(g *spill.Groups, kind Kind, keep int, f Failure, fail func(Failure)) error {
	found, err := g.Finish(nil)
	if err != nil {
		return fmt.Errorf("column %s: %w", f.Column, err)
	}
	if found.Again == 0 {
		return nil
	}
	f.Rows = found.Again
	for _, r := range found.FirstOf[:min(keep, len(found.FirstOf))] {
		f.First = append(f.First, r.Number+1)
	}
	first := found.FirstOf[0]
	one := Column{Kind: kind, Dict: []string{first.Text}, Codes: []int32{0}, Times: []int64{int64(first.Key[0])}, Floats: []float64{math.Float64frombits(first.Key[0])}}
	f.Observed = strings.ToValidUTF8(fmt.Sprintf("%.60q", one.appendCell(nil, 0)), "")
	fail(f)
	return nil
}
