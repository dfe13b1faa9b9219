package dataset

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// fastNumber reads a cell as a row does; ok is false where the row would pass it to parseNumber.
func fastNumber(p *parser, cell string, infer bool) (v float64, ok bool) {
	b := append([]byte(cell+"\n"), make([]byte, padding)...)
	l := &lane{laneSpec: laneSpec{mode: numberCells, infer: infer}, floats: make([]float64, 1)}
	end := p.short(l, b, 0, 0)
	if end < 0 {
		l.floats[0] = math.NaN()
		end = p.number(l, b, 0, 0)
	}
	return l.floats[0], end == len(cell) && l.floats[0] == l.floats[0]
}

// requireParseFloat holds the readers of one cell to strconv.ParseFloat, bit by bit.
func requireParseFloat(t require.TestingT, p *parser, cell string) {
	want, err := strconv.ParseFloat(cell, 64)
	decimal := strings.Trim(cell, "+-.0123456789eE") == ""
	v, ok := parseNumber([]byte(cell))
	require.Equal(t, err == nil && decimal, ok, cell)
	if ok {
		require.Equal(t, math.Float64bits(want), math.Float64bits(v), cell)
	}
	if v, fast := fastNumber(p, cell, false); fast {
		require.True(t, ok, cell)
		require.Equal(t, math.Float64bits(want), math.Float64bits(v), cell)
	}
	if v, fast := fastNumber(p, cell, true); fast {
		class := classOf([]byte(cell))
		require.True(t, class == likeInteger || class == likeNumber, cell)
		require.Equal(t, math.Float64bits(want), math.Float64bits(v), cell)
	}
}

func TestNumbersAreReadToTheBitHoweverTheyAreWritten(t *testing.T) {
	p := newParser("f.csv", DefaultLimits(), []string{"n"})
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.OneOf(
			rapid.StringMatching(`-?[0-9]{0,20}\.?[0-9]{0,22}`),
			rapid.StringMatching(`-?[0-9]{1,8}\.[0-9]{1,9}`),
			rapid.StringMatching(`[-+]?[0-9]{1,3}(\.[0-9]{0,4})?([eE][-+]?[0-9]{1,3})?`),
			rapid.Map(rapid.Float64(), func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }),
			rapid.Map(rapid.Float64Range(-1000, 1000), func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }),
			rapid.StringMatching(`[-+.0-9eExX_ a-f]{0,12}`),
		).Draw(t, "cell")
		requireParseFloat(t, p, cell)
	})
}

// TestQuotientsAreRoundedToEven takes the mantissas next to the middle of two float64s, where rounding twice shows.
func TestQuotientsAreRoundedToEven(t *testing.T) {
	p := newParser("f.csv", DefaultLimits(), []string{"n"})
	for _, m := range []uint64{1<<53 + 1, 1<<53 + 2, 1<<53 + 3, 1<<54 + 2, 1<<54 + 6, 1<<60 + 1, 9999999999999999999, 10000000000000000000 - 512} {
		for k := range 20 {
			digits := strconv.FormatUint(m, 10)
			if k >= len(digits) {
				digits = strings.Repeat("0", k-len(digits)+1) + digits
			}
			cell := digits[:len(digits)-k] + "." + digits[len(digits)-k:]
			requireParseFloat(t, p, cell)
			requireParseFloat(t, p, "-"+cell)
		}
	}
}

// FuzzNumber is the property above on any bytes.
func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"0", "-0", "1.5", "0.1234567890123456789", "9007199254740993", "1e999", "0x1p-2", "1_000", "NaN", "-", ".5", "5.", "+1", "00.5", "123456789.123456789"} {
		f.Add(seed)
	}
	p := newParser("f.csv", DefaultLimits(), []string{"n"})
	f.Fuzz(func(t *testing.T, cell string) {
		if strings.ContainsAny(cell, "\n,\"") {
			return
		}
		requireParseFloat(t, p, cell)
	})
}

func TestWholeNumbersBeyondTheLargestAreNames(t *testing.T) {
	for cell, want := range map[string]bool{
		"9007199254740992": true, "-9007199254740992": true, "9007199254740992.0": true, "9007199254740993": false, "-9007199254740993": false, "9007199254740991": true, "9007199254740994": false,
	} {
		_, ok := parseInteger([]byte(cell))
		require.Equal(t, want, ok, cell)
		require.Equal(t, want, classOf([]byte(cell)) != likeText, cell)
	}
}

func BenchmarkNumber(b *testing.B) {
	for _, cell := range []string{"1.234567", "-123.456", "0.1234567890123456", "12345678", "1e-05"} {
		b.Run(fmt.Sprint(cell), func(b *testing.B) {
			p := newParser("f.csv", DefaultLimits(), []string{"n"})
			text := append([]byte(cell+"\n"), make([]byte, padding)...)
			l := &lane{laneSpec: laneSpec{mode: numberCells}, floats: make([]float64, 1)}
			for b.Loop() {
				if p.short(l, text, 0, 0) < 0 {
					p.number(l, text, 0, 0)
				}
			}
		})
	}
}
