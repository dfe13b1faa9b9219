package spec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "15m": 15 * time.Minute, "24h": day, "7d": 7 * day, "2w": 14 * day,
		"1d12h": 36 * time.Hour, "1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond, " 1h ": time.Hour, "0.5d": 12 * time.Hour,
	} {
		d, err := ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, d.D(), text)
	}
	for _, text := range []string{"", "-5m", "5", "5 m", "m", "5y", "1.2.3h", "1e3s", "999999999999w", "300000000000000000w", "1h-5m", "..h", "106751d1d"} {
		_, err := ParseDuration(text)
		require.Error(t, err, text)
	}
}

func TestUnitsWriteTheirShortestForm(t *testing.T) {
	require.Equal(t, "7d", Duration(7*day).String())
	require.Equal(t, "36h", Duration(36*time.Hour).String())
	require.Equal(t, "90s", Duration(90*time.Second).String())
	require.Equal(t, "0s", Duration(0).String())
	require.Equal(t, "4Gi", Bytes(4<<30).String())
	require.Equal(t, "1000", Bytes(1000).String())
	require.Equal(t, "20 USD", Money{20, "USD"}.String())
	require.Equal(t, "0.05 EUR", Money{0.05, "EUR"}.String())
	require.Equal(t, "2 of 3", KOfN{2, 3}.String())
	require.Equal(t, "12.5%", Percent(0.125).String())
}

func TestParseUnitsRefusesNonsense(t *testing.T) {
	for _, text := range []string{"", "ten", "NaN", "Inf", "10%%", "%"} {
		_, err := ParsePercent(text)
		require.Error(t, err, text)
	}
	for _, text := range []string{"", "Gi", "4GB", "-1Gi", "4 Gi", "99999999Ti", "1e3"} {
		_, err := ParseBytes(text)
		require.Error(t, err, text)
	}
	for _, text := range []string{"", "20", "USD", "-1 USD", "20 usd", "20 USDT", "1e3 USD"} {
		_, err := ParseMoney(text)
		require.Error(t, err, text)
	}
	for _, text := range []string{"", "2", "2 3", "2of3", "-1 of 3", "2 of 3 of 4", "9999999 of 3"} {
		_, err := ParseKOfN(text)
		require.Error(t, err, text)
	}
}

func TestUnitsReadBackWhatTheyWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Duration(rapid.Int64Min(0).Draw(t, "duration"))
		if back, err := ParseDuration(d.String()); err != nil || back != d {
			t.Fatalf("%d: %q: %d, %v", d, d.String(), back, err)
		}
		b := Bytes(rapid.Int64Min(0).Draw(t, "bytes"))
		if back, err := ParseBytes(b.String()); err != nil || back != b {
			t.Fatalf("%d: %q: %d, %v", b, b.String(), back, err)
		}
		m := Money{Amount: rapid.Float64Range(0, 1e9).Draw(t, "amount"), Currency: "USD"}
		if back, err := ParseMoney(m.String()); err != nil || back != m {
			t.Fatalf("%v: %q: %v, %v", m, m.String(), back, err)
		}
	})
}
