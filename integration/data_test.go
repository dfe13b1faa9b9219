package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// fileRows is how many rows a landed file has unless a test says otherwise; the events are a minute apart.
const fileRows = 1500

// flight is one row: late when the delay, seen with some noise, is over ten minutes.
type flight struct {
	id      string
	at      time.Time
	delay   float64
	noise   float64
	carrier string
	late    bool
}

// flights are the rows of the n-th file, from 1. Files don't overlap in time, and one number gives the same rows each
// time.
func flights(n, rows int) []flight {
	random := rand.New(rand.NewPCG(7, uint64(n)))
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 7*(n-1))
	out := make([]flight, rows)
	for i := range out {
		delay := 10 + 20*random.NormFloat64()
		out[i] = flight{
			id: fmt.Sprintf("f%d-%d", n, i), at: start.Add(time.Duration(i) * time.Minute), delay: delay, noise: random.NormFloat64(),
			carrier: []string{"AA", "B6", "DL"}[random.IntN(3)], late: delay+8*random.NormFloat64() > 10,
		}
	}
	return out
}

const header = "id,at,delay,noise,carrier,late\n"

// csv writes rows as a data file has them.
func csv(rows []flight) []byte {
	var b bytes.Buffer
	b.WriteString(header)
	for _, f := range rows {
		fmt.Fprintf(&b, "%s,%s,%.3f,%.3f,%s,%t\n", f.id, f.at.Format(time.RFC3339), f.delay, f.noise, f.carrier, f.late)
	}
	return b.Bytes()
}

// features are a row as an application sends it: what is known before the outcome, and the id that the outcome will
// come under.
func (f flight) features() map[string]any {
	return map[string]any{"id": f.id, "delay": f.delay, "noise": f.noise, "carrier": f.carrier}
}

func featuresOf(rows []flight) []map[string]any {
	out := make([]map[string]any, len(rows))
	for i, f := range rows {
		out[i] = f.features()
	}
	return out
}

// dataFile writes a file for `submit --data` and returns its path.
func dataFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
