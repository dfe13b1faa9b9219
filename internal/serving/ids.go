package serving

import (
	"hash/fnv"
	"sync/atomic"
	"time"
)

// predictionIDs makes ids that sort by time and are unique among gateways: the time in milliseconds (12 hex digits),
// the process (8), a counter (8). "0199f3c2a1b4-7f3a9c21-00000a1f".
type predictionIDs struct {
	process uint32
	counter atomic.Uint32
}

// newPredictionIDs derives the process's part from the gateway's id and its start, so a restarted gateway differs.
func newPredictionIDs(gateway string, start time.Time) *predictionIDs {
	h := fnv.New32a()
	_, _ = h.Write([]byte(gateway + "\x00" + start.UTC().Format(time.RFC3339Nano)))
	return &predictionIDs{process: h.Sum32()}
}

const predictionIDLength = 30

func (p *predictionIDs) append(dst []byte, now time.Time) []byte {
	dst = appendHex(dst, uint64(now.UnixMilli()), 12)
	dst = append(dst, '-')
	dst = appendHex(dst, uint64(p.process), 8)
	dst = append(dst, '-')
	return appendHex(dst, uint64(p.counter.Add(1)), 8)
}

func appendHex(dst []byte, v uint64, digits int) []byte {
	const hex = "0123456789abcdef"
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, hex[v>>shift&15])
	}
	return dst
}
