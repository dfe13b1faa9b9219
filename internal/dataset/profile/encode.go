package profile

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"time"
)

// profileJSON is a stored profile.
type profileJSON struct {
	Version int          `json:"version"`
	Rows    int64        `json:"rows"`
	Top     int          `json:"top"`
	Columns []columnJSON `json:"columns"`
}

// columnJSON is a stored column: first what people and other programs read, then what Merge needs.
type columnJSON struct {
	Name      string       `json:"name"`
	Kind      string       `json:"kind"`
	Count     int64        `json:"count"`
	Nulls     int64        `json:"nulls"`
	Distinct  int64        `json:"distinct"`
	Estimated bool         `json:"estimated,omitempty"`
	Numbers   *Numbers     `json:"numbers,omitempty"`
	Oldest    *time.Time   `json:"oldest,omitempty"`
	Newest    *time.Time   `json:"newest,omitempty"`
	Top       []ValueCount `json:"top,omitempty"`
	Other     int64        `json:"other,omitempty"`
	Bins      *Bins        `json:"bins,omitempty"`

	Rest      map[string]int64 `json:"rest,omitempty"` // categories outside Top
	Moments   *momentsJSON     `json:"moments,omitempty"`
	Sketch    *sketchJSON      `json:"sketch,omitempty"`
	Registers []byte           `json:"registers,omitempty"`
}

// momentsJSON is a column's moments.
type momentsJSON struct {
	Mean     [2]float64 `json:"mean"`
	Squares  [2]float64 `json:"squares"`
	Exponent int        `json:"exponent,omitempty"`
}

// sketchJSON is a sketch. Data is base64 without padding of unsigned varints (LEB128): how many low bits all buckets
// have zero, and then for each bucket, without those bits, its distance from the one before and its count.
type sketchJSON struct {
	Shift uint   `json:"shift"`
	Data  string `json:"data"`
}

// MarshalJSON writes the profile. The same profile is always the same bytes.
func (p Profile) MarshalJSON() ([]byte, error) {
	out := profileJSON{Version: p.Version, Rows: p.Rows, Top: p.top, Columns: make([]columnJSON, len(p.Columns))}
	for i := range p.Columns {
		out.Columns[i] = p.Columns[i].stored()
	}
	return json.Marshal(out)
}

// stored is the column's JSON.
func (c *Column) stored() columnJSON {
	out := columnJSON{
		Name: c.Name, Kind: c.Kind, Count: c.Count, Nulls: c.Nulls, Distinct: c.Distinct, Estimated: c.Estimated,
		Numbers: c.Numbers, Oldest: c.Oldest, Newest: c.Newest, Top: c.Top, Other: c.Other, Bins: c.Bins, Registers: c.registers,
	}
	if c.Numbers != nil {
		m := c.moments
		out.Moments = &momentsJSON{Mean: [2]float64{m.mean, m.low}, Squares: [2]float64{m.m2, m.m2low}, Exponent: m.exponent}
		out.Sketch = &sketchJSON{Shift: c.sketch.shift, Data: c.sketch.encode()}
	}
	if len(c.values) > len(c.Top) {
		out.Rest = make(map[string]int64, len(c.values)-len(c.Top))
		for _, v := range c.values {
			out.Rest[v.Value] = v.Count
		}
		for _, v := range c.Top {
			delete(out.Rest, v.Value)
		}
	}
	return out
}

// encode is sketchJSON's Data.
func (s sketch) encode() string {
	var all uint64
	for _, bucket := range s.buckets {
		all |= bucket
	}
	zeros := uint(bits.TrailingZeros64(all)) % keyBits
	data := binary.AppendUvarint(make([]byte, 0, 4*len(s.buckets)+1), uint64(zeros))
	var before uint64
	for i, bucket := range s.buckets {
		data = binary.AppendUvarint(data, bucket>>zeros-before)
		data = binary.AppendUvarint(data, uint64(s.counts[i]))
		before = bucket >> zeros
	}
	return base64.RawStdEncoding.EncodeToString(data)
}

// MarshalJSON writes the column as it stands in its profile.
func (c Column) MarshalJSON() ([]byte, error) { return json.Marshal(c.stored()) }
