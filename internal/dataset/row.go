package dataset

import (
	"bytes"
	"math"
	"math/bits"
)

// parser reads blocks into lanes. It belongs to one goroutine; what it reads into is the caller's.
type parser struct {
	cutter cutter
	names  []*interner // per column of the file; nil where its values are no names
	tens   tens
	floats tenPowers

	leading [8]uint64 // the least number of so many digits without a leading zero; 0 has one digit
	simple  int       // bytes up to which a row can't pass a limit
	strict  bool      // read every row with the cutter; for tests
}

func newParser(name string, limits Limits, header []string) *parser {
	p := &parser{
		cutter: cutter{name: name, limits: limits, header: header},
		names:  make([]*interner, len(header)),
		simple: min(limits.Row, limits.Cell),
	}
	p.tens, p.floats = powersOfTen()
	copy(p.leading[2:], p.tens[1:])
	return p
}

// parse reads the rows of a chunk's block into its lanes. The first row that is none ends it: c.fault says why.
func (p *parser) parse(c *parsed, specs []laneSpec) {
	text := c.block.text
	p.begin(c, specs, int(min(c.block.lines, int64(len(text)/len(specs)+1))))
	padded := text[:len(text)+padding]
	for at := 0; at < len(text); {
		switch { // an empty line is no row
		case text[at] == '\n':
			at++
			continue
		case text[at] == '\r' && text[at+1] == '\n':
			at += 2
			continue
		}
		next := -1
		if c.block.sound && !p.strict {
			next = p.row(c.lanes, padded, at, c.rows)
			if next-at > p.simple {
				next = -1
			}
		}
		if next < 0 {
			var row bool
			if next, row = p.careful(c, text, at); c.fault != nil {
				for i := range c.lanes {
					c.lanes[i].forgive(c.rows)
				}
				return
			}
			if !row {
				at = next
				continue
			}
		}
		at = next
		c.rows++
	}
}

// begin readies a chunk of at most rows rows.
func (p *parser) begin(c *parsed, specs []laneSpec, rows int) {
	c.rows, c.fault, c.faultCells = 0, nil, 0
	if c.lanes == nil {
		c.lanes = make([]lane, len(specs))
	}
	p.forget()
	for i := range specs {
		l := &c.lanes[i]
		l.keep = c.keep
		l.begin(specs[i], rows)
		if specs[i].mode == codedCells {
			if p.names[i] == nil {
				p.names[i] = newInterner()
			}
			p.names[i].begin()
			l.names = p.names[i]
		}
	}
}

// How much the interners of a parser may hold before they are emptied: categories come again and stay far below it,
// and what doesn't come again isn't worth keeping.
const (
	internedValues = 1 << 16
	internedBytes  = 4 << 20
)

// forget empties the interners where they hold too much.
func (p *parser) forget() {
	values, size := 0, 0
	for _, n := range p.names {
		if n != nil {
			values, size = values+n.count, size+n.bytes
		}
	}
	if values < internedValues && size < internedBytes {
		return
	}
	for _, n := range p.names {
		if n != nil {
			n.forget(4 * internedValues / len(p.names))
		}
	}
}

// careful reads the row at text[at:] with the cutter. row is false for an empty line.
func (p *parser) careful(c *parsed, text []byte, at int) (next int, row bool) {
	line := 1 + int64(bytes.Count(text[:at], []byte{'\n'}))
	cells, length, err := p.cutter.row(text[at:], line)
	if err != nil {
		c.fault = err
		return 0, false
	}
	if cells == nil {
		return at + length, false
	}
	if len(cells) != len(c.lanes) {
		c.fault = p.cutter.fail(RuleFields, -1, "", "")
		c.faultCells = len(cells)
		return 0, false
	}
	for i := range c.lanes {
		c.lanes[i].take(cells[i], c.rows)
	}
	return at + length, true
}

// row reads a row whose cells are simple, at b[at:], and returns where the next one begins; -1: it isn't simple, and what
// the lanes have of it is void. b ends with padding bytes behind the text.
func (p *parser) row(lanes []lane, b []byte, at, row int) int {
	last := len(lanes) - 1
	for i := range lanes {
		l := &lanes[i]
		end := -1
		switch l.mode {
		case numberCells, integerCells:
			if end = p.short(l, b, at, row); end < 0 {
				end = p.number(l, b, at, row)
			}
		case codedCells:
			end = p.coded(l, b, at, row)
		default:
			end = p.cell(l, b, at, row)
		}
		if end < 0 {
			return -1
		}
		at = end + 1
		if i == last {
			break
		}
		if at8(b, end) != ',' {
			return -1
		}
	}
	switch c := b[at-1]; {
	case c == '\n':
		return at
	case c == '\r' && b[at] == '\n':
		return at + 1
	}
	return -1
}

// short reads a number of at most 7 characters before the point. With at most 7 digits behind it, its mantissa is
// exact, so that one division rounds it as strconv.ParseFloat does. -1: the cell is another.
//
// What comes next waits for where this one ends, so that is found with as little arithmetic as can be: most columns
// have a fixed number of digits behind the point, and a branch on the last one's number is predicted where adding
// this one's would have to be waited for.
func (p *parser) short(l *lane, b []byte, at, row int) int {
	w := load(b, at) ^ zeros
	n := leading(notDigits(w) &^ 0x80) // characters before the point, the first one a digit or a sign
	sign := 0
	if byte(w) == '-'^'0' {
		sign = 1
	}
	w &^= uint64(-sign & 0xff)
	if n > 7 || n <= sign || byte(w) > 9 {
		return -1
	}
	end := at + n
	m := firstDigits(w, n)
	if l.infer && m < p.leading[n-sign] {
		return -1 // a leading zero
	}
	c := at8(b, end)
	if c != '.' {
		if c != ',' && c != '\n' && c != '\r' {
			return -1
		}
		l.floats[row] = signed(float64(int64(m)), sign)
		return end
	}
	if l.mode == integerCells {
		return -1 // 3.0 is one, 3.5 isn't
	}
	w = load(b, end+1) ^ zeros
	k := leading(notDigits(w))
	if k > 7 {
		return p.long(l, b, end+1, row, m, n, sign)
	}
	if k == 0 {
		return -1
	}
	if k != l.fraction {
		l.fraction = k
	}
	end += 1 + l.fraction
	if c := at8(b, end); c != ',' && c != '\n' && c != '\r' {
		return -1
	}
	l.floats[row] = signed(float64(int64(m*p.tens[k]+firstDigits(w, k)))/p.floats[k], sign)
	return end
}

// long is short for a number with more digits behind its point, which is at b[at-1:], as programs write float64s: at
// most 19 with the n that are before it and make m.
func (p *parser) long(l *lane, b []byte, at, row int, m uint64, n, sign int) int {
	m = m*p.tens[8] + eight(load(b, at)^zeros)
	w := load(b, at+8) ^ zeros
	k := leading(notDigits(w))
	digits := 8 + k
	if k == 8 {
		m = m*p.tens[8] + eight(w)
		w = load(b, at+16) ^ zeros
		k = leading(notDigits(w))
		digits += k
	}
	if n-sign+digits > 19 {
		return -1
	}
	if k > 0 {
		m = m*p.tens[k] + firstDigits(w, k)
	}
	end := at + digits
	if c := at8(b, end); c != ',' && c != '\n' && c != '\r' {
		return -1
	}
	d := decimalText{mantissa: m, fraction: digits, negative: sign == 1}
	l.floats[row] = d.value(&p.tens, &p.floats)
	return end
}

// signed is -v where sign is 1.
func signed(v float64, sign int) float64 {
	return math.Float64frombits(math.Float64bits(v) ^ uint64(sign)<<63)
}

// number reads a cell of a number or integer that is written in full, of at most 19 digits, and passes others on. It
// returns where the cell ends, as coded and cell do; -1: the row isn't simple.
func (p *parser) number(l *lane, b []byte, at, row int) int {
	d, ok := readDecimal(b, at, &p.tens)
	if !ok || (b[d.end] != ',' && b[d.end] != '\n' && b[d.end] != '\r') {
		return p.cell(l, b, at, row)
	}
	whole := l.mode == integerCells || (l.infer && !d.point)
	if whole && (d.point || d.mantissa > maxInteger) || d.zero && l.infer {
		return p.cell(l, b, at, row)
	}
	l.floats[row] = d.value(&p.tens, &p.floats)
	return d.end
}

// coded reads a name.
func (p *parser) coded(l *lane, b []byte, at, row int) int {
	w := load(b, at)
	mask := below(w)
	if mask == 0 || l.infer && !l.known {
		return p.cell(l, b, at, row)
	}
	n := bits.TrailingZeros64(mask) >> 3
	if c := b[at+n]; c != ',' && c != '\n' {
		return p.cell(l, b, at, row)
	}
	if n == 0 {
		l.codes[row] = NullCode
		return at
	}
	w &= 1<<(8*n) - 1
	l.codes[row] = l.names.code(b[at:at+n], l.names.hashWord(w, n), &l.dict)
	return at + n
}

// cell reads any cell that has no doubled quotes.
func (p *parser) cell(l *lane, b []byte, at, row int) int {
	if b[at] == '"' {
		n := bytes.IndexByte(b[at+1:], '"')
		if n < 0 {
			return -1
		}
		end := at + n + 2
		if c := b[end]; c != ',' && c != '\n' && (c != '\r' || b[end+1] != '\n') {
			return -1
		}
		l.take(b[at+1:end-1], row)
		return end
	}
	end := cellEnd(b, at)
	if end >= 0 {
		l.take(b[at:end], row)
	}
	return end
}

// below marks, by its highest bit, the first byte of w that is less than '-': commas, line ends and quotes are. Marks
// behind the first mean nothing.
func below(w uint64) uint64 { return (w - 0x2d2d2d2d2d2d2d2d) & ^w & highBits }

// cellEnd is where the unquoted cell at b[at:] ends: at a comma or a line end. -1: it has a quote.
func cellEnd(b []byte, at int) int {
	for {
		mask := below(load(b, at))
		if mask == 0 {
			at += 8
			continue
		}
		at += bits.TrailingZeros64(mask) >> 3
		switch c := b[at]; {
		case c == ',' || c == '\n' || (c == '\r' && b[at+1] == '\n'):
			return at
		case c == '"':
			return -1
		}
		at++
	}
}
