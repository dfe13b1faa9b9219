package serving

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/predictions"
)

// predictionLog collects predictions and sends them to the object store as Parquet, one object a model, version and
// hour, closed by size or age. Rows wait in memory for as long as Config.LogFlush, then in files of the state folder
// until they are stored: a process that is killed loses what it had in memory, and the next one sends the rest. It never
// holds up a request: what fits neither memory nor disk is dropped, and counted.
type predictionLog struct {
	server *Server
	dir    string
	full   chan struct{} // rows wait that shouldn't wait for the next tick
	due    chan struct{} // a part waits to be sent

	persisting sync.Mutex // one at a time moves rows out of memory
	sending    sync.Mutex // one at a time sends

	mu     sync.Mutex
	open   map[partKey]*openPart
	sealed []*sealedPart // wait to be sent, oldest first
	memory int           // bytes of rows in memory
	disk   int64         // bytes of files
	seq    int
}

type partKey struct {
	model   string
	version int
	hour    int64 // hours since 1970
}

// openPart takes rows.
type openPart struct {
	header  logHeader
	name    string // of its file
	started time.Time
	rows    int
	pending []byte // rows that are in no file yet
	spare   []byte // memory for the next of them

	file *logFile // nil: nothing was written yet. Only persist touches it
}

// sealedPart has its key, which a retry and another process keep, so that it can't be stored twice.
type sealedPart struct {
	header logHeader // of one that another process left: in its file
	path   string
	rows   int      // 0: not known
	file   *logFile // nil: all rows are in memory
	tail   []byte   // rows that no file took
	packed []byte   // as sent
}

// partWithin is how long the store may take for one part.
const partWithin = time.Minute

func newPredictionLog(s *Server) *predictionLog {
	l := &predictionLog{
		server: s, dir: s.disk.rows(), full: make(chan struct{}, 1), due: make(chan struct{}, 1), open: map[partKey]*openPart{},
	}
	l.adopt()
	return l
}

// adopt takes the files that processes of before left.
func (l *predictionLog) adopt() {
	paths, err := filepath.Glob(filepath.Join(l.dir, "*"+logSuffix))
	l.server.troubles.note("prediction log left behind", err)
	for _, path := range paths { // sorted, so oldest first
		f, err := openLogFile(path)
		switch {
		case err != nil:
			l.server.log().Warn("predictions that were left behind can't be read", "file", filepath.Base(path), "error", err)
		case f != nil:
			l.sealed = append(l.sealed, &sealedPart{path: path, file: f})
			l.disk += f.size
		}
	}
	if len(l.sealed) > 0 {
		l.server.log().Info("sends predictions of the process before", "parts", len(l.sealed), "bytes", l.disk)
		wake(l.due)
	}
}

func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// add logs the sampled part of a request's rows.
func (l *predictionLog) add(w *work, r *route, now time.Time) {
	sample := r.settings.sample
	if sample <= 0 {
		return
	}
	cfg := &l.server.cfg
	places := len(r.order)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range w.results {
		if sample < 1 && l.server.ports.Random() >= sample {
			continue
		}
		if l.memory >= cfg.LogBuffer || l.disk >= cfg.LogDisk {
			l.server.metrics.logDropped.Inc()
			continue
		}
		res := &w.results[i]
		key := partKey{r.model, res.arm.number, now.Unix() / 3600}
		p, ok := l.open[key]
		if !ok {
			p = l.begin(key, res.arm, now)
		}
		before := len(p.pending)
		p.pending = appendLogRow(p.pending, w, i, w.row(i, places), r.rowID, now)
		p.rows++
		l.memory += len(p.pending) - before
		if len(p.pending) >= cfg.LogPart {
			wake(l.full)
		}
	}
}

// begin opens a part.
func (l *predictionLog) begin(key partKey, a *arm, now time.Time) *openPart {
	l.seq++
	// Unique for this gateway, over restarts too: when the process started, and a number.
	name := fmt.Sprintf("%s-%08d", l.server.started.UTC().Format("20060102T150405.000000000"), l.seq)
	p := &openPart{name: name + logSuffix, started: now, header: logHeader{
		Key:   predictions.Key(key.model, time.Unix(key.hour*3600, 0), key.version, l.server.cfg.ID, name),
		Model: key.model, Version: key.version, Features: logFeatures(&a.model.Signature),
	}}
	l.open[key] = p
	return p
}

// moving is a part whose rows are on their way to disk.
type moving struct {
	*openPart
	rows   []byte
	sealed bool
}

// persist moves all rows out of memory, and seals the parts that are due: all of them, or those of size or age, or of an
// hour that is over. What no disk takes stays in memory, and is sent from there; the error says why.
func (l *predictionLog) persist(now time.Time, all bool) error {
	l.persisting.Lock()
	defer l.persisting.Unlock()
	var failed error
	for _, m := range l.take(now, all) {
		err := l.write(m.openPart, m.rows)
		l.mu.Lock()
		var tail []byte
		if err == nil {
			l.memory -= len(m.rows)
			if cap(m.rows) <= maxKept {
				m.spare = m.rows[:0]
			}
		} else {
			failed, tail = err, m.rows
		}
		switch {
		case m.sealed:
			l.sealed = append(l.sealed, &sealedPart{header: m.header, path: filepath.Join(l.dir, m.name), rows: m.openPart.rows, file: m.file, tail: tail})
			wake(l.due)
		case tail != nil:
			m.pending = append(tail, m.pending...)
		}
		l.mu.Unlock()
	}
	if failed != nil {
		return fmt.Errorf("prediction log: state folder: %w", failed)
	}
	return nil
}

// take gives the parts that have rows to be written or are due, which get no more rows.
func (l *predictionLog) take(now time.Time, all bool) []moving {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []moving
	for key, p := range l.open {
		size := len(p.pending)
		if p.file != nil {
			size += int(p.file.size)
		}
		sealed := all || now.Sub(p.started) >= l.maxAge(key.model) || size >= l.server.cfg.LogPart || now.Unix()/3600 != key.hour
		if sealed {
			delete(l.open, key)
		}
		if sealed || len(p.pending) > 0 {
			out = append(out, moving{openPart: p, rows: p.pending, sealed: sealed})
			p.pending, p.spare = p.spare, nil
		}
	}
	slices.SortFunc(out, func(a, b moving) int { return cmp.Compare(a.name, b.name) })
	return out
}

// write adds rows to a part's file.
func (l *predictionLog) write(p *openPart, rows []byte) (err error) {
	if len(rows) == 0 {
		return nil
	}
	before := int64(0)
	if p.file == nil {
		if p.file, err = createLogFile(filepath.Join(l.dir, p.name), p.header); err != nil {
			p.file = nil
			return err
		}
	} else {
		before = p.file.size
	}
	err = p.file.append(rows)
	l.mu.Lock()
	l.disk += p.file.size - before
	l.mu.Unlock()
	return err
}

func (l *predictionLog) maxAge(model string) time.Duration {
	if r := l.server.route(model); r != nil && r.challenger != nil {
		return l.server.cfg.LogAgeCanary
	}
	return l.server.cfg.LogAge
}

// send sends the sealed parts, oldest first, until they are stored or the store fails.
func (l *predictionLog) send(ctx context.Context) error {
	l.sending.Lock()
	defer l.sending.Unlock()
	for {
		l.mu.Lock()
		if len(l.sealed) == 0 {
			l.mu.Unlock()
			return nil
		}
		p := l.sealed[0]
		l.mu.Unlock()
		// Each part has its own time: after an outage there may be a gigabyte of them, and a slow line is slow for each.
		storing, cancel := context.WithTimeout(ctx, partWithin)
		err := l.store(storing, p)
		cancel()
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.sealed = l.sealed[1:]
		l.memory -= len(p.tail)
		if p.file != nil {
			l.disk -= p.file.size
		}
		l.mu.Unlock()
	}
}

// flush sends everything.
func (l *predictionLog) flush(ctx context.Context) error {
	err := l.persist(l.server.ports.Clock(), true)
	return errors.Join(err, l.send(ctx))
}

// left is how many rows weren't sent, and are on no disk either.
func (l *predictionLog) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	rows := 0
	for _, p := range l.open {
		rows += p.rows
	}
	for _, p := range l.sealed {
		if len(p.tail) > 0 {
			rows += p.rows
		}
	}
	return rows
}

// end lets go of the files that weren't sent: the next process has them.
func (l *predictionLog) end() error {
	l.persisting.Lock()
	defer l.persisting.Unlock()
	l.sending.Lock()
	defer l.sending.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	for _, p := range l.open {
		if p.file != nil {
			err = errors.Join(err, p.file.leave())
		}
	}
	for _, p := range l.sealed {
		if p.file != nil {
			err = errors.Join(err, p.file.leave())
		}
	}
	clear(l.open)
	l.sealed = nil
	return err
}

// held is how many bytes of rows wait in memory and on disk.
func (l *predictionLog) held() (memory int, disk int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory, l.disk
}

// keep moves rows to disk until ctx ends.
func (l *predictionLog) keep(ctx context.Context) {
	ticker := time.NewTicker(l.server.cfg.LogFlush)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-l.full:
		}
		l.server.troubles.note("prediction log on disk", l.persist(l.server.ports.Clock(), false))
	}
}

// run sends what is due until ctx ends.
func (l *predictionLog) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.due:
		}
		err := l.send(ctx)
		if ctx.Err() != nil {
			return
		}
		l.server.troubles.note("prediction log", err)
		if err != nil {
			if !sleep(ctx, l.server.cfg.LogAgeCanary) {
				return
			}
			wake(l.due)
		}
	}
}
