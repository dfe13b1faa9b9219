package activities

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/predictions"
)

// answer is one logged prediction.
type answer struct {
	id      string // of the data's row
	at      time.Time
	delay   string
	carrier string
}

// answers are the gateway's for flights, all at one time.
func answers(rows []flight, at time.Time) []answer {
	out := make([]answer, len(rows))
	for i, f := range rows {
		out[i] = answer{id: f.id, at: at, delay: strconv.FormatFloat(f.delay, 'f', -1, 64), carrier: f.carrier}
	}
	return out
}

// log writes a part of the prediction log, as a gateway does.
func (w *world) log(version int, name string, rows []answer) {
	w.t.Helper()
	var csv strings.Builder
	for i, c := range predictions.Columns() {
		if i > 0 {
			csv.WriteByte(',')
		}
		csv.WriteString(c.Name)
	}
	csv.WriteString(",delay,carrier\n")
	for i, a := range rows {
		fmt.Fprintf(&csv, "%s-%d,%s,%d,champion,%s,0.5,0,120,%s,%s\n", name, i, a.at.UTC().Format("2006-01-02T15:04:05.000Z"), version, a.id, a.delay, a.carrier)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(csv.String()))
	require.NoError(w.t, err)
	require.NoError(w.t, z.Close())
	key := predictions.Key(theModel, rows[0].at, version, "gw", name)
	_, err = w.store.Create(w.t.Context(), key, bytes.NewReader(packed.Bytes()), int64(packed.Len()))
	require.NoError(w.t, err)
}

func (w *world) monitors() *Monitors { return &Monitors{Lake: w.lake, Metrics: w.metrics} }
