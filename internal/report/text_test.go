package report

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestNumbersHaveFourDigitsAndTheirFullValueInTheTitle(t *testing.T) {
	for x, want := range map[float64]words{
		0:                    {Text: "0"},
		7:                    {Text: "7"},
		0.31:                 {Text: "0.31"},
		0.3144159:            {Text: "0.3144", Title: "0.3144159"},
		-12.3456:             {Text: "-12.35", Title: "-12.3456"},
		1234.5678:            {Text: "1235", Title: "1234.5678"},
		-26483:               {Text: "-26,483", Title: "-26483"},
		1e6:                  {Text: "1,000,000", Title: "1e+06"},
		1.23456e20:           {Text: "1.235e20", Title: "1.23456e+20"},
		1.5e-7:               {Text: "1.5e-7", Title: "1.5e-07"},
		math.MaxFloat64:      {Text: "1.798e308", Title: "1.7976931348623157e+308"},
		math.Inf(1):          {Text: "∞"},
		math.Inf(-1):         {Text: "-∞"},
		math.Copysign(0, -1): {Text: "0"},
	} {
		assert.Equal(t, want, number(x), "%g", x)
	}
	assert.Equal(t, words{Text: none}, number(math.NaN()))
}

func TestSharesAreNeverRoundedToNoneOrAll(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0\u00a0%", 1: "100\u00a0%", 0.123: "12.3\u00a0%", 1e-9: "<\u00a00.1\u00a0%", 0.99999: ">\u00a099.9\u00a0%", 0.9994: "99.9\u00a0%", 0.0006: "0.1\u00a0%",
	} {
		assert.Equal(t, want, percent(x).Text, "%g", x)
	}
	assert.Equal(t, none, percent(math.NaN()).Text)
	assert.Equal(t, words{Text: "<\u00a00.0001", Title: "1e-300"}, probability(1e-300))
	assert.Equal(t, words{Text: "0.0312", Title: "0.03124"}, probability(0.03124))
	assert.Equal(t, none, probability(math.NaN()).Text)
}

func TestCountsSizesAndTimes(t *testing.T) {
	assert.Equal(t, "-9,223,372,036,854,775,808", count(math.MinInt64))
	assert.Equal(t, "1 row", counted(1, "row"))
	assert.Equal(t, "1,000 rows", counted(1000, "row"))
	assert.Equal(t, "999\u00a0bytes", size(999).Text)
	assert.Equal(t, words{Text: "1\u00a0kB", Title: "1,000 bytes"}, size(1000))
	assert.Equal(t, "1\u00a0MB", size(999_950).Text)
	assert.Equal(t, "2.15\u00a0GB", size(1<<31).Text)
	assert.Equal(t, words{Text: "2013-07-01", Title: "2013-07-01T00:00:00Z"}, day(time.Date(2013, 7, 1, 0, 0, 0, 0, time.UTC)))
	assert.Equal(t, "2013-07-01 05:15", day(time.Date(2013, 7, 1, 7, 15, 0, 0, time.FixedZone("", 7200))).Text)
	assert.Equal(t, none, instant(time.Time{}))
}

func TestWhatNobodySeesIsSpelledOut(t *testing.T) {
	for in, want := range map[string]string{
		"plain name":            "plain name",
		"Größe °C 温度 🙂":         "Größe °C 温度 🙂",
		"a\x00b":                "a⟨U+0000⟩b",
		"line\nbreak\ttab":      "line⟨U+000A⟩break⟨U+0009⟩tab",
		"user\u202egnp.exe":     "user⟨U+202E⟩gnp.exe",
		"a\u2066b\u2069":        "a⟨U+2066⟩b⟨U+2069⟩",
		"zero\u200bwidth\ufeff": "zero⟨U+200B⟩width⟨U+FEFF⟩",
		"no\u00a0break":         "no⟨U+00A0⟩break",
		"tag\U000e0041":         "tag⟨U+E0041⟩",
		"latin\xe9":             "latin⟨byte E9⟩",
		"private\ue000":         "private⟨U+E000⟩",
		"hangul\u3164":          "hangul⟨U+3164⟩",
		"unassigned\u0378":      "unassigned⟨U+0378⟩",
		" two words ":           "⟨space⟩two words⟨space⟩",
		"  ":                    "⟨space⟩⟨space⟩",
		"�":                     "�",
	} {
		assert.Equal(t, want, visible(in, longTitle), "%q", in)
	}
}

func TestLongNamesAreCutAndStayInTheTitle(t *testing.T) {
	long := strings.Repeat("ä", longName+1)
	got := name(long)
	assert.Equal(t, longName, utf8.RuneCountInString(got.Text))
	assert.True(t, strings.HasSuffix(got.Text, "…"))
	assert.Equal(t, long, got.Title)
	assert.Equal(t, words{Text: strings.Repeat("ä", longName)}, name(strings.Repeat("ä", longName)))
	assert.Equal(t, words{Text: "(empty)"}, name(""))
	assert.LessOrEqual(t, utf8.RuneCountInString(name(strings.Repeat("x", 1<<20)).Title), longTitle+1, "a cell of a megabyte")
	assert.Equal(t, "“a”, “b” and 1 more", several([]string{"a", "b", "c"}, 2))
}

func TestAnyTextBecomesShortPlainText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		got := name(string(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "text")))
		for _, s := range []string{got.Text, got.Title} {
			if !utf8.ValidString(s) {
				t.Fatalf("%q isn't UTF-8", s)
			}
			for _, r := range s {
				if r != '\u00a0' && hidden(r) {
					t.Fatalf("%q holds %U", s, r)
				}
			}
		}
		if n := utf8.RuneCountInString(got.Text); n > longName || n == 0 {
			t.Fatalf("%d runes", n)
		}
	})
}

func TestWhatIsSpelledOutIsBoundedToo(t *testing.T) {
	for _, r := range []string{"x", "\u202e", "\xff", " ", "\U000e0001"} {
		got := visible(strings.Repeat(r, 5000), longTitle)
		assert.LessOrEqual(t, utf8.RuneCountInString(got), longTitle+1, "%q", r)
		assert.True(t, strings.HasSuffix(got, "…"), "%q", r)
	}
	assert.Equal(t, "⟨U+202E⟩", visible("\u202e", 8))
	assert.Equal(t, "…", visible("\u202e", 7), "nothing is cut in its middle")
}
