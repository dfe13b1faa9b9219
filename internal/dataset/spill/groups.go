// Package spill answers questions about all values of a column in bounded memory and exactly: which repeat, and what
// their order is. Beyond a limit it keeps them in a temporary file.
package spill

import (
	"cmp"
	"slices"
)

// Key is a value: its 64 bits, or a hash of 128.
type Key [2]uint64

// Row is an occurrence of a value.
type Row struct {
	Number int64 // from 0
	Key    Key
	Text   string // as it was added, at most MaxText bytes
}

// MaxText is how much of a value's text is kept.
const MaxText = 256

// Group is a value and its rows.
type Group struct {
	Key   Key
	First int64 // its first row
	Count int64
	Text  string // where Options.Texts asks for it
}

// Options bound Groups. Zero fields take the defaults.
type Options struct {
	Limit int    // different values held in memory; 131,072
	Keep  int    // rows listed; 20
	Texts bool   // whether groups have their text
	Dir   string // for the temporary file; "": the system's
}

// Groups counts rows by their value. Rows come in order. Close it.
type Groups struct {
	o     Options
	level int // of partitions around this one
	seen  map[Key]Group
	parts *partitions // nil while all is in memory
	found *Repeats
}

// Repeats is what Groups finds without being asked for each group. Lists are ascending.
type Repeats struct {
	Rows     int64 // that were added
	Again    int64 // rows whose value an earlier row has
	Members  int64 // rows whose value another row has
	FirstOf  []Row // the first of Again
	AnyFirst []Row // the first of Members
}

// NewGroups is ready for rows.
func NewGroups(o Options) *Groups {
	o.Limit, o.Keep = cmp.Or(o.Limit, 1<<17), cmp.Or(o.Keep, 20)
	return &Groups{o: o, seen: map[Key]Group{}, found: &Repeats{}}
}

// Add counts a row. text is for reports; it is copied.
func (g *Groups) Add(key Key, row int64, text string) error {
	g.found.Rows++
	return g.add(Group{Key: key, First: row, Count: 1, Text: text[:min(len(text), MaxText)]})
}

// add counts a group of which nothing was seen but, where it has more than one row, all that was noted already.
func (g *Groups) add(r Group) error {
	if g.parts != nil {
		return g.parts.write(g.partition(r.Key), r)
	}
	e, known := g.seen[r.Key]
	if known {
		g.again(e, r)
		e.Count += r.Count
		g.seen[r.Key] = e
		return nil
	}
	if len(g.seen) >= g.o.Limit && g.level < maxLevel {
		if err := g.spill(); err != nil {
			return err
		}
		return g.parts.write(g.partition(r.Key), r)
	}
	if !g.o.Texts {
		r.Text = ""
	} else {
		r.Text = string([]byte(r.Text)) // not the chunk's
	}
	g.seen[r.Key] = r
	return nil
}

// again notes that row r repeats the value of e.
func (g *Groups) again(e, r Group) {
	f := g.found
	f.Again++
	f.Members++
	f.FirstOf = Keep(f.FirstOf, Row{r.First, r.Key, r.Text}, g.o.Keep)
	if e.Count == 1 {
		f.Members++
		f.AnyFirst = Keep(f.AnyFirst, Row{e.First, r.Key, r.Text}, g.o.Keep)
	}
	f.AnyFirst = Keep(f.AnyFirst, Row{r.First, r.Key, r.Text}, g.o.Keep)
}

// Keep inserts a row into an ascending list of the n first.
func Keep(rows []Row, r Row, n int) []Row {
	if len(rows) == n && r.Number > rows[n-1].Number {
		return rows
	}
	at, _ := slices.BinarySearchFunc(rows, r.Number, func(a Row, b int64) int { return cmp.Compare(a.Number, b) })
	r.Text = string([]byte(r.Text))
	rows = slices.Insert(rows, at, r)
	return rows[:min(n, len(rows))]
}

// maxLevel is where the bits of a hash end; a partition of that level is held in memory whatever its size.
const maxLevel = 7

// partition is the file's part for a value: eight bits of a hash of its own, for keys may be numbers.
func (g *Groups) partition(k Key) int {
	h := (k[0] ^ k[1]*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return int(h >> (56 - 8*g.level) & 0xff)
}

// spill moves what is in memory to a file.
func (g *Groups) spill() error {
	var err error
	if g.parts, err = newPartitions(g.o.Dir); err != nil {
		return err
	}
	for _, e := range g.seen {
		if err := g.parts.write(g.partition(e.Key), e); err != nil {
			return err
		}
	}
	g.seen = nil
	return nil
}

// Finish ends the adding, and calls visit, unless it is nil, with each group, in no order.
func (g *Groups) Finish(visit func(Group)) (Repeats, error) {
	if g.parts == nil {
		for _, e := range g.seen {
			if visit != nil {
				visit(e)
			}
		}
		return *g.found, nil
	}
	for part := range partitionCount {
		if err := g.resolve(part, visit); err != nil {
			return *g.found, err
		}
	}
	return *g.found, nil
}

// resolve counts one partition as if it were all.
func (g *Groups) resolve(part int, visit func(Group)) error {
	inner := &Groups{o: g.o, level: g.level + 1, seen: map[Key]Group{}, found: g.found}
	defer func() { _ = inner.Close() }()
	if err := g.parts.read(part, inner.add); err != nil {
		return err
	}
	_, err := inner.Finish(visit)
	return err
}

// Close removes the temporary file.
func (g *Groups) Close() error {
	if g.parts == nil {
		return nil
	}
	return g.parts.file.Close()
}
