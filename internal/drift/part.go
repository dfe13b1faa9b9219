package drift

import "slices"

// part is one side.
type part struct {
	numbers []float64
	missing int
	size    int // without missing ones
	loads   []load
	ids     []uint16
	before  []int    // values in earlier buckets
	place   []int32  // where a bucket's sorted keys begin in keys; -1: it isn't sorted
	keys    []uint64 // of all sorted buckets
	spare   []uint64
}

func (p *part) load(l *layout, numbers []float64) {
	buckets := len(l.start)
	p.numbers = numbers
	p.loads = slices.Grow(p.loads[:0], buckets)[:buckets]
	clear(p.loads)
	p.ids = slices.Grow(p.ids[:0], len(numbers))[:len(numbers)]
	p.missing = l.count(numbers, p.loads, p.ids)
	p.size = len(numbers) - p.missing
	p.before = slices.Grow(p.before[:0], buckets+1)[:buckets+1]
	n := 0
	for i := range p.loads {
		p.before[i] = n
		n += int(p.loads[i].n)
	}
	p.before[buckets] = n
}

// sort gathers the keys of the buckets to be sorted, and sorts them.
func (p *part) sort(l *layout, forms []form) {
	p.place = slices.Grow(p.place[:0], noBucket+1)[:noBucket+1]
	n := 0
	for b := range p.place {
		p.place[b] = -1
		if b < len(forms) && forms[b] == ordered {
			p.place[b] = int32(n)
			n += int(p.loads[b].n)
		}
	}
	p.keys = slices.Grow(p.keys[:0], n)[:n]
	place, keys, numbers := p.place[:noBucket+1], p.keys, p.numbers[:len(p.ids)]
	for i, id := range p.ids {
		if at := place[id]; at >= 0 {
			keys[at] = keyOf(numbers[i])
			place[id]++
		}
	}
	for b := range forms {
		if forms[b] == ordered {
			p.place[b] -= int32(p.loads[b].n)
			width := l.narrow[b]
			if !l.linear(b) {
				width = 0
			}
			p.spare = sortKeys(p.of(b), p.spare, l.start[b], width)
		}
	}
}

// of are the keys of a sorted bucket.
func (p *part) of(b int) []uint64 {
	at := int(p.place[b])
	return p.keys[at : at+int(p.loads[b].n)]
}
