package dataset

import (
	"cmp"
	"context"

	"github.com/leanloop/leanloop/internal/spec"
)

// Chunk is consecutive rows of a scan, in columns. Its slices and dictionaries are valid until the Visitor returns, the
// strings in its dictionaries for as long as somebody holds them.
type Chunk struct {
	*Table       // Category, Text: Dict holds values of this chunk only
	First  int64 // number of the first row, counted from 0
}

// Visitor takes the rows of a scan, in order, all calls from the goroutine that called Scan. An error ends the scan,
// which returns it.
type Visitor interface {
	// Begin is called before the first rows with the columns' names and kinds (ColumnRule's Name and Type, nothing
	// else), and again, before the first row once more, when kinds are inferred and a later cell contradicted one:
	// everything seen until then is void.
	Begin(columns []spec.ColumnRule) error
	Rows(c Chunk) error
}

// Visitors is a Visitor that calls each of v in turn.
func Visitors(v ...Visitor) Visitor { return visitors(v) }

type visitors []Visitor

func (vs visitors) Begin(columns []spec.ColumnRule) error {
	for _, v := range vs {
		if err := v.Begin(columns); err != nil {
			return err
		}
	}
	return nil
}

func (vs visitors) Rows(c Chunk) error {
	for _, v := range vs {
		if err := v.Rows(c); err != nil {
			return err
		}
	}
	return nil
}

// Scan reads a table from the stored bytes of an object and hands its rows to v in chunks. One pass hashes, decompresses,
// cuts, checks and parses; what it needs of memory depends on the limits, not on the object. With several workers blocks
// of text are parsed at once and delivered in order, so the result is the same, an error's place too.
//
// Without a contract the kinds are those that all cells allow. They are guessed from the first block; where a later cell
// contradicts, the source is opened again. What Read says of contracts, reports and errors holds here too.
func Scan(ctx context.Context, src Source, o ReadOptions, v Visitor) (Info, *Report, error) {
	o.Limits = o.Limits.withDefaults()
	o.Keep = cmp.Or(o.Keep, DefaultKeep)
	o.block = cmp.Or(o.block, blockBytes)
	var unknown error
	if o.Format == "" {
		o.Format, unknown = FormatOf(o.Name)
	}
	if o.Format == Parquet {
		return scanParquet(ctx, src, o, v)
	}
	s := &textScan{ctx: ctx, o: o, source: src, visitor: v, report: &Report{Name: o.Name}, unknown: unknown}
	if o.Contract == nil {
		s.guess = &inference{}
	}
	for {
		again, err := s.pass()
		if err != nil || !again {
			return s.info, s.report, err
		}
	}
}
