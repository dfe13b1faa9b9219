package parquet

import (
	"testing"

	"github.com/parquet-go/parquet-go/encoding/delta"
	rleof "github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// padded is b with the padding that pages have.
func padded(b []byte) []byte { return append(b, make([]byte, padding)...)[:len(b)] }

// steps cuts n into parts, since values are read as chunks ask for them.
func steps(t *rapid.T, n int) []int {
	var parts []int
	for n > 0 {
		part := rapid.IntRange(1, n).Draw(t, "part")
		parts = append(parts, part)
		n -= part
	}
	return parts
}

// runs draws numbers of at most width bits, with repeats long enough to be written as runs.
func runs(t *rapid.T, width int) []int32 {
	var values []int32
	for range rapid.IntRange(1, 20).Draw(t, "runs") {
		v := int32(rapid.Uint32Max(uint32(1<<width-1)).Draw(t, "value"))
		for range rapid.SampledFrom([]int{1, 1, 2, 7, 8, 30, 100}).Draw(t, "times") {
			values = append(values, v)
		}
	}
	return values
}

func TestHybridReadsWhatAnotherWriterWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 31).Draw(t, "width")
		want := runs(t, width)
		encoded, err := (&rleof.Encoding{BitWidth: width}).EncodeInt32(nil, want)
		require.NoError(t, err)
		h, err := newHybrid(padded(encoded), width)
		require.NoError(t, err)
		var got []int32
		for _, n := range steps(t, len(want)) {
			part := make([]int32, n)
			require.NoError(t, h.read(part))
			got = append(got, part...)
		}
		require.Equal(t, want, got)
	})
}

func TestDeltaReadsWhatAnotherWriterWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.SampledFrom([]int64{0, 1, 100, 1 << 31, 1<<63 - 1}).Draw(t, "most")
		want := rapid.SliceOfN(rapid.Int64Range(-most, most), 1, 400).Draw(t, "values")
		encoded, err := new(delta.BinaryPackedEncoding).EncodeInt64(nil, want)
		require.NoError(t, err)
		const behind = "what follows"
		b := padded(append(encoded, behind...))
		var d differences
		require.NoError(t, d.reset(b))
		ahead := d
		end, err := ahead.skip()
		require.NoError(t, err)
		require.Equal(t, behind, string(b[end:]))
		var got []int64
		for _, n := range steps(t, len(want)) {
			part := make([]int64, n)
			require.NoError(t, d.read(part))
			got = append(got, part...)
		}
		require.Equal(t, want, got)
		require.Error(t, d.read(make([]int64, 1)), "there are no more")
	})
}

func TestARunIsNeverLongerThanWhatIsAskedFor(t *testing.T) {
	h, err := newHybrid(padded([]byte{0xfe, 0xff, 0xff, 0xff, 0x0f, 1}), 1) // two billion ones
	require.NoError(t, err)
	present := make([]int32, 10)
	for range 100 {
		ones, all, err := h.levels(present)
		require.NoError(t, err)
		require.True(t, all)
		require.Equal(t, 10, ones)
	}
	require.Equal(t, make([]int32, 10), present, "which costs nothing")
}

func TestNumbersThatEndEarlyAreAnError(t *testing.T) {
	for name, b := range map[string][]byte{
		"no run": {}, "a run without its value": {0x10}, "packed values that aren't there": {0x03}, "an endless varint": {0xff, 0xff, 0xff},
		"a varint that overflows": {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"too many packed values":  {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1}, "empty runs only": {0, 0, 0, 0},
	} {
		h, err := newHybrid(padded(b), 8)
		require.NoError(t, err, name)
		require.Error(t, h.read(make([]int32, 1000)), name)
	}
	_, err := newHybrid(nil, 33)
	require.Error(t, err)
	for name, b := range map[string][]byte{
		"nothing": {}, "no block": {0x80, 1, 4, 5, 0}, "blocks of no size": {0, 4, 5, 0}, "no miniblocks": {0x80, 1, 0, 5, 0},
		"miniblocks of seven": {28, 4, 5, 0}, "a width of 65 bits": {0x80, 1, 4, 5, 0, 0, 65, 0, 0, 0},
		"a miniblock cut short": {0x80, 1, 4, 5, 0, 0, 8, 0, 0, 0, 1, 2},
	} {
		var d differences
		err := d.reset(padded(b))
		if err == nil {
			err = d.read(make([]int64, 5))
		}
		require.Error(t, err, name)
	}
}
