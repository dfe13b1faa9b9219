package serving

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/predictions"
)

// predictionLog collects predictions in memory and sends them to the object store as compressed CSV, one object a
// model, version and hour, closed by size or age. It never holds up a request: what doesn't fit its memory is
// dropped, and counted.
type predictionLog struct {
	server *Server
	full   chan struct{} // a part reached its size

	flushing sync.Mutex // one flush at a time

	mu     sync.Mutex
	open   map[partKey]*part
	sealed []*sealedPart // wait to be sent, oldest first
	bytes  int           // held by both
	seq    int
}

type partKey struct {
	model   string
	version int
	hour    int64 // hours since 1970
}

// part is an open one: rows as CSV.
type part struct {
	rows    int
	started time.Time
	csv     []byte
}

// sealedPart has its name, which a retry keeps, so that it can't be stored twice.
type sealedPart struct {
	key  string
	rows int
	data []byte // CSV, or gzip of it once packed
	gzip bool
}

func newPredictionLog(s *Server) *predictionLog {
	return &predictionLog{server: s, full: make(chan struct{}, 1), open: map[partKey]*part{}}
}

// add logs the sampled part of a request's rows.
func (l *predictionLog) add(w *work, r *route, now time.Time) {
	sample := r.settings.sample
	if sample <= 0 {
		return
	}
	places := len(r.order)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range w.results {
		if sample < 1 && l.server.ports.Random() >= sample {
			continue
		}
		res := &w.results[i]
		key := partKey{r.model, res.arm.number, now.Unix() / 3600}
		p, ok := l.open[key]
		if !ok {
			p = &part{started: now}
			p.csv = appendLogHeader(p.csv, res.arm)
			l.bytes += len(p.csv)
			l.open[key] = p
		}
		if l.bytes >= l.server.cfg.LogBuffer {
			l.server.metrics.logDropped.Inc()
			continue
		}
		before := len(p.csv)
		p.csv = appendLogRow(p.csv, w, i, w.row(i, places), r.rowID, now)
		p.rows++
		l.bytes += len(p.csv) - before
		if len(p.csv) >= l.server.cfg.LogPart {
			select {
			case l.full <- struct{}{}:
			default:
			}
		}
	}
}

// seal closes the parts that are due: all of them, or those of size or age, or of an hour that is over.
func (l *predictionLog) seal(now time.Time, all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var due []partKey
	for key, p := range l.open {
		old := now.Sub(p.started) >= l.maxAge(key.model)
		if all || old || len(p.csv) >= l.server.cfg.LogPart || now.Unix()/3600 != key.hour {
			due = append(due, key)
		}
	}
	slices.SortFunc(due, func(a, b partKey) int {
		return cmp.Or(cmp.Compare(a.model, b.model), cmp.Compare(a.hour, b.hour), cmp.Compare(a.version, b.version))
	})
	for _, key := range due {
		p := l.open[key]
		delete(l.open, key)
		if p.rows == 0 {
			l.bytes -= len(p.csv)
			continue
		}
		l.seq++
		l.sealed = append(l.sealed, &sealedPart{
			key:  predictions.Key(key.model, time.Unix(key.hour*3600, 0), key.version, l.server.cfg.ID, l.sequence()),
			rows: p.rows, data: p.csv,
		})
	}
}

// sequence is unique for this gateway, over restarts too: when the process started, and a number.
func (l *predictionLog) sequence() string {
	return fmt.Sprintf("%s-%08d", l.server.started.UTC().Format("20060102T150405.000000000"), l.seq)
}

func (l *predictionLog) maxAge(model string) time.Duration {
	if r := l.server.route(model); r != nil && r.challenger != nil {
		return l.server.cfg.LogAgeCanary
	}
	return l.server.cfg.LogAge
}

// flush sends the parts that are due, oldest first, until they are stored or the store fails.
func (l *predictionLog) flush(ctx context.Context, all bool) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.seal(l.server.ports.Clock(), all)
	for {
		l.mu.Lock()
		if len(l.sealed) == 0 {
			l.mu.Unlock()
			return nil
		}
		p := l.sealed[0]
		l.mu.Unlock()
		if err := l.send(ctx, p); err != nil {
			return err
		}
		l.mu.Lock()
		l.sealed = l.sealed[1:]
		l.bytes -= len(p.data)
		l.mu.Unlock()
		l.server.metrics.logWritten.Add(float64(p.rows))
	}
}

// left is how many rows weren't sent.
func (l *predictionLog) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	rows := 0
	for _, p := range l.open {
		rows += p.rows
	}
	for _, p := range l.sealed {
		rows += p.rows
	}
	return rows
}

func (l *predictionLog) send(ctx context.Context, p *sealedPart) error {
	if !p.gzip {
		packed, err := gzipped(p.data)
		if err != nil {
			return fmt.Errorf("prediction log %s: %w", p.key, err)
		}
		l.mu.Lock()
		l.bytes += len(packed) - len(p.data)
		p.data, p.gzip = packed, true
		l.mu.Unlock()
	}
	_, err := l.server.ports.Store.Create(ctx, p.key, bytes.NewReader(p.data), int64(len(p.data)))
	if err != nil && !errors.Is(err, objectstore.ErrExists) { // exists: an earlier call whose answer was lost
		return fmt.Errorf("prediction log %s: %w", p.key, err)
	}
	return nil
}

func gzipped(data []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// run flushes what is due until ctx ends.
func (l *predictionLog) run(ctx context.Context) {
	every := min(l.server.cfg.LogAge, l.server.cfg.LogAgeCanary) / 4
	ticker := time.NewTicker(max(every, 10*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-l.full:
		}
		sending, cancel := context.WithTimeout(ctx, l.server.cfg.ReadTimeout)
		err := l.flush(sending, false)
		cancel()
		if ctx.Err() != nil {
			return
		}
		l.server.troubles.note("prediction log", err)
		if err != nil && !sleep(ctx, l.server.cfg.LogAgeCanary) {
			return
		}
	}
}
