package profile

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
)

// UnmarshalJSON reads what MarshalJSON wrote. A profile of another version is an error, and so is one whose parts
// contradict each other: what was read can be merged and compared like one that was built.
func (p *Profile) UnmarshalJSON(data []byte) error {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	if head.Version != Version {
		return versionError(head.Version)
	}
	var in profileJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	if in.Rows < 0 || in.Rows > maxRows {
		return fmt.Errorf("profile: %d rows, want 0 to %d", in.Rows, int64(maxRows))
	}
	if in.Top < 1 {
		return fmt.Errorf("profile: top is %d, want at least 1", in.Top)
	}
	out := Profile{Version: Version, Rows: in.Rows, top: in.Top, Columns: make([]Column, len(in.Columns))}
	l := limitsFor(len(in.Columns))
	for i := range in.Columns {
		if err := out.Columns[i].restore(&in.Columns[i], &out, l); err != nil {
			return fmt.Errorf("profile: column %d (%.60q): %w", i+1, in.Columns[i].Name, err)
		}
	}
	*p = out
	return nil
}

// UnmarshalJSON refuses: what a column's limits are is its profile's to say.
func (c *Column) UnmarshalJSON([]byte) error {
	return fmt.Errorf("profile: a column can be read with its profile only")
}

// maxRows keeps every sum of counts exact as a float64.
const maxRows = 1 << 53

// restore fills the column from its stored form.
func (c *Column) restore(in *columnJSON, p *Profile, l limits) error {
	kind, err := dataset.ParseKind(in.Kind)
	if err != nil {
		return err
	}
	*c = Column{Name: in.Name, Kind: in.Kind, Count: in.Count, Nulls: in.Nulls, Oldest: in.Oldest, Newest: in.Newest}
	if in.Count < 0 || in.Count > p.Rows || in.Nulls != p.Rows-in.Count {
		return fmt.Errorf("%d values and %d nulls in %d rows", in.Count, in.Nulls, p.Rows)
	}
	if c.numeric() {
		err = c.restoreNumbers(in, l)
	} else {
		err = c.restoreCategories(in, l)
	}
	if err != nil {
		return err
	}
	if err := c.checkTimes(kind); err != nil {
		return err
	}
	c.derive(p.top)
	if err := c.agrees(in); err != nil {
		return err
	}
	if in.Bins != nil {
		if err := in.Bins.check(c, l); err != nil {
			return err
		}
	} else if c.Bins != nil {
		return fmt.Errorf("no bins")
	}
	c.Bins = in.Bins
	if c.Numbers != nil {
		c.Numbers.Quantiles = in.Numbers.Quantiles
	}
	return nil
}

// restoreNumbers checks and takes what a numeric column has.
func (c *Column) restoreNumbers(in *columnJSON, l limits) error {
	if in.Rest != nil {
		return fmt.Errorf("categories in a column of kind %s", c.Kind)
	}
	if c.Count == 0 {
		if in.Numbers != nil || in.Sketch != nil || in.Moments != nil || in.Registers != nil {
			return fmt.Errorf("numbers in a column without values")
		}
		return nil
	}
	if in.Numbers == nil || in.Sketch == nil || in.Moments == nil {
		return fmt.Errorf("values without numbers, sketch or moments")
	}
	if in.Numbers.Min > in.Numbers.Max {
		return fmt.Errorf("minimum %v over maximum %v", in.Numbers.Min, in.Numbers.Max)
	}
	c.Numbers = &Numbers{Min: in.Numbers.Min + 0, Max: in.Numbers.Max + 0}
	c.moments = moments{
		n: c.Count, mean: in.Moments.Mean[0], low: in.Moments.Mean[1],
		m2: in.Moments.Squares[0], m2low: in.Moments.Squares[1], exponent: in.Moments.Exponent,
	}
	if e := in.Moments.Exponent; e != 0 && e != scaleStep && e != -scaleStep {
		return fmt.Errorf("moments have the exponent %d", e)
	}
	if in.Moments.Squares[0] < 0 {
		return fmt.Errorf("squares sum up to %v", in.Moments.Squares[0])
	}
	var err error
	if c.sketch, err = decodeSketch(in.Sketch, c, l); err != nil {
		return err
	}
	c.registers = in.Registers
	return checkRegisters(in.Registers, c.sketch.shift > 0, l)
}

// decodeSketch reads a sketch of the column's values.
func decodeSketch(in *sketchJSON, c *Column, l limits) (sketch, error) {
	data, err := base64.RawStdEncoding.DecodeString(in.Data)
	if err != nil {
		return sketch{}, fmt.Errorf("sketch: %w", err)
	}
	if in.Shift >= keyBits {
		return sketch{}, fmt.Errorf("sketch: shift %d, want less than %d", in.Shift, keyBits)
	}
	s := sketch{shift: in.Shift}
	zeros, data, err := uvarint(data)
	if err != nil {
		return sketch{}, err
	}
	if zeros >= keyBits {
		return sketch{}, fmt.Errorf("sketch: %d low bits of zero", zeros)
	}
	var bucket uint64
	for left := c.Count; left > 0 || len(data) > 0; {
		var step, count uint64
		if step, data, err = uvarint(data); err != nil {
			return sketch{}, err
		}
		if count, data, err = uvarint(data); err != nil {
			return sketch{}, err
		}
		next := bucket + step
		if next < bucket || (step == 0 && len(s.buckets) > 0) || next<<zeros>>zeros != next || next<<zeros<<s.shift>>s.shift != next<<zeros {
			return sketch{}, fmt.Errorf("sketch: bucket %d doesn't follow %d", next, bucket)
		}
		if count == 0 || count > uint64(left) {
			return sketch{}, fmt.Errorf("sketch: a bucket of %d, and %d of %d values left", count, left, c.Count)
		}
		bucket = next
		left -= int64(count)
		s.buckets, s.counts = append(s.buckets, bucket<<zeros), append(s.counts, int64(count))
	}
	return s, s.check(c, l)
}

// check holds the sketch to its limit and to the column's range.
func (s sketch) check(c *Column, l limits) error {
	n := len(s.buckets)
	if n > l.buckets || (s.shift > 0 && 2*n <= l.buckets) { // one shift less would do
		return fmt.Errorf("sketch: %d buckets at shift %d, limit %d", n, s.shift, l.buckets)
	}
	if s.buckets[0] != keyOf(c.Numbers.Min)>>s.shift || s.buckets[n-1] != keyOf(c.Numbers.Max)>>s.shift {
		return fmt.Errorf("sketch: its ends aren't the minimum %v and the maximum %v", c.Numbers.Min, c.Numbers.Max)
	}
	return nil
}

// uvarint takes one number off the data.
func uvarint(data []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(data)
	if n <= 0 {
		return 0, nil, fmt.Errorf("sketch: truncated")
	}
	return v, data[n:], nil
}

// checkRegisters holds registers to what hashes can give.
func checkRegisters(registers []byte, wanted bool, l limits) error {
	if !wanted {
		if registers != nil {
			return fmt.Errorf("registers though every value is known")
		}
		return nil
	}
	if len(registers) != 1<<l.precision {
		return fmt.Errorf("%d registers, want %d", len(registers), 1<<l.precision)
	}
	if most := slices.Max(registers); uint(most) > keyBits-l.precision+1 || most == 0 {
		return fmt.Errorf("a register of %d, want 1 to %d", most, keyBits-l.precision+1)
	}
	return nil
}

// restoreCategories checks and takes what a column of categories has.
func (c *Column) restoreCategories(in *columnJSON, l limits) error {
	if in.Numbers != nil || in.Sketch != nil || in.Moments != nil {
		return fmt.Errorf("numbers in a column of kind %s", c.Kind)
	}
	c.overflow, c.registers = in.Registers != nil, in.Registers
	if err := checkRegisters(in.Registers, c.overflow, l); err != nil {
		return err
	}
	if c.overflow {
		if in.Top != nil || in.Rest != nil {
			return fmt.Errorf("categories beside registers")
		}
		return nil
	}
	c.values = slices.Clone(in.Top)
	for value, count := range in.Rest {
		c.values = append(c.values, ValueCount{Value: value, Count: count})
	}
	slices.SortFunc(c.values, byValue)
	left, text := c.Count, 0
	for i, v := range c.values {
		if v.Count < 1 || v.Count > left {
			return fmt.Errorf("category %.60q has %d of %d values", v.Value, v.Count, left)
		}
		if i > 0 && c.values[i-1].Value == v.Value {
			return fmt.Errorf("category %.60q twice", v.Value)
		}
		left -= v.Count
		text += len(v.Value)
	}
	if left != 0 || len(c.values) > l.categories || text > l.text {
		return fmt.Errorf("%d categories of %d bytes with %d of %d values", len(c.values), text, c.Count-left, c.Count)
	}
	return nil
}

// checkTimes holds oldest and newest to the numbers.
func (c *Column) checkTimes(kind dataset.Kind) error {
	if kind != dataset.Timestamp || c.Count == 0 {
		if c.Oldest != nil || c.Newest != nil {
			return fmt.Errorf("times in a column of kind %s with %d values", kind, c.Count)
		}
		return nil
	}
	for _, end := range []struct {
		at      *time.Time
		seconds float64
	}{{c.Oldest, c.Numbers.Min}, {c.Newest, c.Numbers.Max}} {
		if end.at == nil || !instant(end.at.UnixNano()).Equal(*end.at) || float64(end.at.UnixNano())/1e9 != end.seconds {
			return fmt.Errorf("oldest or newest isn't at %v s", end.seconds)
		}
		*end.at = end.at.UTC()
	}
	return nil
}

// agrees holds what was stored for readers to what follows from the rest. Another processor may round the last digit
// of a float differently.
func (c *Column) agrees(in *columnJSON) error {
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) }
	if c.Estimated != in.Estimated || c.Distinct != in.Distinct {
		return fmt.Errorf("%d distinct values, want %d", in.Distinct, c.Distinct)
	}
	if !slices.Equal(c.Top, in.Top) || c.Other != in.Other {
		return fmt.Errorf("its most frequent values aren't those of all values")
	}
	if c.Numbers == nil {
		return nil
	}
	if !near(c.Numbers.Mean, in.Numbers.Mean) || !near(c.Numbers.Std, in.Numbers.Std) {
		return fmt.Errorf("mean %v and standard deviation %v, want %v and %v", in.Numbers.Mean, in.Numbers.Std, c.Numbers.Mean, c.Numbers.Std)
	}
	q := in.Numbers.Quantiles
	if len(q) != len(QuantileShares()) || !slices.IsSorted(q) || q[0] < c.Numbers.Min || q[len(q)-1] > c.Numbers.Max {
		return fmt.Errorf("quantiles %v, want %d from %v to %v", q, len(QuantileShares()), c.Numbers.Min, c.Numbers.Max)
	}
	return nil
}

// check holds bins to the column.
func (b *Bins) check(c *Column, l limits) error {
	n := len(b.Edges) + len(b.Values)
	wrong := len(b.Counts) != n+1 || len(b.Edges) >= binCount || len(b.Values) > l.categories ||
		(c.numeric() && len(b.Values) > 0) || (!c.numeric() && (len(b.Edges) > 0 || !b.Borrowed)) || (c.Numbers == nil && !b.Borrowed)
	for i := 1; i < n && !wrong; i++ {
		wrong = (c.numeric() && b.Edges[i-1] >= b.Edges[i]) || (!c.numeric() && b.Values[i-1] >= b.Values[i])
	}
	left := c.Count
	for _, count := range b.Counts {
		if wrong = wrong || count < 0 || count > left; wrong {
			break
		}
		left -= count
	}
	if wrong || left != 0 {
		return fmt.Errorf("bins with %d edges, %d values and %d counts don't hold %d values", len(b.Edges), len(b.Values), len(b.Counts), c.Count)
	}
	return nil
}
