package profile

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
)

// storedProfile is one with a column of each sort: exact, sketched, instants, categories within and beyond the limit.
func storedProfile(t require.TestingT, o Options) *Profile {
	const n = 6000
	r := rand.New(rand.NewPCG(1, 2))
	few := numbers("few", make([]float64, n)...)
	many := numbers("many", make([]float64, n)...)
	at := dataset.Column{Name: "at", Kind: dataset.Timestamp, Times: make([]int64, n)}
	c := dataset.Column{Name: "c", Kind: dataset.Category, Codes: make([]int32, n), Dict: make([]string, 70)}
	text := dataset.Column{Name: "text", Kind: dataset.Text, Codes: make([]int32, n), Dict: make([]string, n)}
	for i := range c.Dict {
		c.Dict[i] = fmt.Sprint(i)
	}
	for i := range n {
		few.Floats[i], many.Floats[i] = float64(i%9)-4, r.NormFloat64()
		at.Times[i] = int64(1.37e18 + float64(i)*1e9)
		c.Codes[i], text.Codes[i], text.Dict[i] = int32(i%70), int32(i), fmt.Sprint("text ", i)
	}
	few.Floats[3] = math.NaN()
	return build(t, o, tableOf(few, many, at, c, text))
}

func TestAProfileIsReadAsItWasWritten(t *testing.T) {
	p := storedProfile(t, Options{})
	assert.Equal(t, p, roundTrip(t, p))
	against := storedProfile(t, Options{Against: p, Top: 3})
	assert.Equal(t, against, roundTrip(t, against))
	again, err := json.Marshal(roundTrip(t, p))
	require.NoError(t, err)
	first, err := json.Marshal(p)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(first, again), "the same profile is the same bytes")
	value, err := json.Marshal(*p)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(first, value), "a pointer or not")
	var c Column
	require.EqualError(t, json.Unmarshal([]byte(`{"name":"x"}`), &c), "profile: a column can be read with its profile only")
	empty := build(t, Options{}, tableOf(numbers("x"), names("c")))
	assert.Equal(t, empty, roundTrip(t, empty))
}

func TestAnotherVersionIsRefused(t *testing.T) {
	var p Profile
	require.EqualError(t, json.Unmarshal([]byte(`{"version":1,"rows":"any"}`), &p),
		"profile: version 1, want 2: its numbers mean something else; profile the data again")
}

// data is a sketch's Data.
func data(bytes ...byte) string { return base64.RawStdEncoding.EncodeToString(bytes) }

func TestAProfileThatContradictsItselfIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(p *profileJSON)
		want   string
	}{
		"negative rows":          {func(p *profileJSON) { p.Rows = -1 }, "-1 rows"},
		"nothing listed":         {func(p *profileJSON) { p.Top = 0 }, "top is 0"},
		"no such kind":           {func(p *profileJSON) { p.Columns[0].Kind = "float" }, `type "float": unknown`},
		"more values than rows":  {func(p *profileJSON) { p.Columns[0].Count = 7000 }, "7000 values and 1 nulls in 6000 rows"},
		"nulls missing":          {func(p *profileJSON) { p.Columns[0].Nulls = 0 }, "5999 values and 0 nulls in 6000 rows"},
		"no sketch":              {func(p *profileJSON) { p.Columns[0].Sketch = nil }, "without numbers, sketch or moments"},
		"sketch isn't base64":    {func(p *profileJSON) { p.Columns[0].Sketch.Data = "!" }, "illegal base64"},
		"sketch ends early":      {func(p *profileJSON) { p.Columns[0].Sketch.Data = p.Columns[0].Sketch.Data[:8] }, "truncated"},
		"sketch goes on":         {func(p *profileJSON) { p.Columns[0].Sketch.Data += "AAAA" }, "sketch"},
		"sketch of nothing":      {func(p *profileJSON) { p.Columns[0].Sketch.Data = "" }, "truncated"},
		"bucket of nothing":      {func(p *profileJSON) { p.Columns[0].Sketch.Data = data(0, 1, 0) }, "a bucket of 0"},
		"bucket beyond all":      {func(p *profileJSON) { p.Columns[0].Sketch.Data = data(63, 2, 1) }, "doesn't follow"},
		"bucket twice":           {func(p *profileJSON) { p.Columns[0].Sketch.Data = data(0, 1, 1, 0, 1) }, "doesn't follow"},
		"too many zeros":         {func(p *profileJSON) { p.Columns[0].Sketch.Data = data(64, 1, 1) }, "64 low bits"},
		"shift beyond a key":     {func(p *profileJSON) { p.Columns[0].Sketch.Shift = 64 }, "shift 64"},
		"shift not needed":       {func(p *profileJSON) { p.Columns[0].Sketch.Shift = 1 }, "sketch"},
		"shift too small":        {func(p *profileJSON) { p.Columns[1].Sketch.Shift-- }, "sketch"},
		"another minimum":        {func(p *profileJSON) { p.Columns[0].Numbers.Min = -5 }, "its ends aren't the minimum"},
		"minimum over maximum":   {func(p *profileJSON) { p.Columns[0].Numbers.Min = 5 }, "minimum 5 over maximum 4"},
		"another mean":           {func(p *profileJSON) { p.Columns[0].Numbers.Mean++ }, "mean"},
		"negative squares":       {func(p *profileJSON) { p.Columns[0].Moments.Squares[0] = -1 }, "squares"},
		"another scale":          {func(p *profileJSON) { p.Columns[0].Moments.Exponent = 3 }, "exponent 3"},
		"quantiles out of order": {func(p *profileJSON) { p.Columns[0].Numbers.Quantiles[0] = 3 }, "quantiles"},
		"a quantile missing":     {func(p *profileJSON) { p.Columns[0].Numbers.Quantiles = nil }, "quantiles"},
		"no bins":                {func(p *profileJSON) { p.Columns[0].Bins = nil }, "no bins"},
		"bins of too few":        {func(p *profileJSON) { p.Columns[0].Bins.Counts[0]-- }, "bins"},
		"bins out of order":      {func(p *profileJSON) { p.Columns[0].Bins.Edges[0] = 9 }, "bins"},
		"bin missing":            {func(p *profileJSON) { p.Columns[0].Bins.Counts = nil }, "bins"},
		"registers of known":     {func(p *profileJSON) { p.Columns[0].Registers = make([]byte, 4096) }, "though every value is known"},
		"registers missing":      {func(p *profileJSON) { p.Columns[1].Registers = nil }, "0 registers, want 4096"},
		"registers empty":        {func(p *profileJSON) { p.Columns[1].Registers = make([]byte, 4096) }, "a register of 0"},
		"register beyond hashes": {func(p *profileJSON) { p.Columns[1].Registers[7] = 54 }, "a register of 54, want 1 to 53"},
		"another distinct":       {func(p *profileJSON) { p.Columns[1].Distinct++ }, "distinct values"},
		"times of numbers":       {func(p *profileJSON) { p.Columns[0].Oldest = p.Columns[2].Oldest }, "times in a column of kind number"},
		"no oldest":              {func(p *profileJSON) { p.Columns[2].Oldest = nil }, "oldest or newest"},
		"another newest":         {func(p *profileJSON) { p.Columns[2].Newest = p.Columns[2].Oldest }, "oldest or newest"},
		"category twice":         {func(p *profileJSON) { p.Columns[3].Rest["7"] = 1 }, "twice"},
		"category missing":       {func(p *profileJSON) { delete(p.Columns[3].Rest, "69") }, "69 categories"},
		"category of nothing":    {func(p *profileJSON) { p.Columns[3].Rest["x"] = 0 }, `category "x" has 0`},
		"categories of a number": {func(p *profileJSON) { p.Columns[0].Rest = map[string]int64{"x": 1} }, "categories in a column of kind number"},
		"numbers of a category":  {func(p *profileJSON) { p.Columns[3].Numbers = p.Columns[0].Numbers }, "numbers in a column of kind category"},
		"top isn't the top": {func(p *profileJSON) {
			p.Columns[3].Top[0], p.Columns[3].Top[1] = p.Columns[3].Top[1], p.Columns[3].Top[0]
		}, "most frequent"},
		"categories beyond count": {func(p *profileJSON) { p.Columns[4].Top = []ValueCount{{"x", 1}} }, "categories beside registers"},
	} {
		t.Run(name, func(t *testing.T) {
			whole, err := json.Marshal(storedProfile(t, Options{}))
			require.NoError(t, err)
			var stored profileJSON
			require.NoError(t, json.Unmarshal(whole, &stored))
			c.change(&stored)
			changed, err := json.Marshal(stored)
			require.NoError(t, err)
			var p Profile
			require.ErrorContains(t, json.Unmarshal(changed, &p), c.want)
		})
	}
}

func TestATruncatedProfileIsRefused(t *testing.T) {
	whole, err := json.Marshal(storedProfile(t, Options{}))
	require.NoError(t, err)
	for n := 0; n < len(whole); n += 1 + len(whole)/200 {
		var p Profile
		require.Error(t, json.Unmarshal(whole[:n], &p))
	}
}

func TestAProfileOfManyRowsIsSmall(t *testing.T) {
	data, err := json.Marshal(storedProfile(t, Options{}))
	require.NoError(t, err)
	assert.Less(t, len(data), 150<<10)
	assert.Contains(t, string(data), `{"version":2,"rows":6000,"top":50,"columns":[{"name":"few","kind":"number","count":5999,"nulls":1,"distinct":9,"numbers":{"min":-4,"max":4,`)
}

func FuzzUnmarshal(f *testing.F) {
	small := build(f, Options{}, tableOf(numbers("x", 1, 2.5, math.NaN()), names("c", "a", "b", "a"),
		dataset.Column{Name: "t", Kind: dataset.Timestamp, Times: []int64{1e18, 2e18, dataset.NullTime}}))
	for _, p := range []*Profile{small, build(f, Options{Against: small}, tableOf(numbers("x", 7), names("c", "z"))), storedProfile(f, Options{})} {
		data, err := json.Marshal(p)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(strings.Repeat("[", 100)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Profile
		if json.Unmarshal(data, &p) != nil {
			return
		}
		// What was accepted is as good as a profile that was built.
		require.Equal(t, &p, roundTrip(t, &p))
		for i := range p.Columns {
			c := &p.Columns[i]
			var n int64
			for _, b := range c.Buckets() {
				require.LessOrEqual(t, b.Low, b.High)
				n += b.Count
			}
			if c.Numbers != nil {
				require.Equal(t, c.Count, n)
				require.False(t, math.IsNaN(c.Quantile(0.3)))
			}
			_, _ = c.Values()
		}
		if p.Rows <= maxRows/2 {
			_, err := Merge(&p, &p)
			require.NoError(t, err)
		}
	})
}
