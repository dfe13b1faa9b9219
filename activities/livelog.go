package activities

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/leanloop/leanloop/internal/objectstore"
)

const (
	logFile   = "log.txt" // an attempt's whole log, once it has ended
	logFolder = "log/"    // its parts, while it runs and ever after: named by where they begin
	// logLook is how often a running attempt's log is looked at, logSoon how long a line waits at first and logLate at most,
	// in attempts that run for hours, so that a day's log is a few thousand parts.
	logLook = 250 * time.Millisecond
	logSoon = 2 * time.Second
	logLate = 30 * time.Second
	logPart = 256 << 10 // bytes that don't wait
	// mostLivePart bounds a part: what one look uploads.
	mostLivePart = 4 << 20
)

// liveLog stores a log as it is written.
type liveLog struct {
	store  objectstore.Store
	prefix string // of the attempt
	path   string // of the file that grows
	every  time.Duration
	offset int64
}

// run uploads what is new until ctx ends. A part that can't be stored is tried again at the next look: the training goes on.
func (l *liveLog) run(ctx context.Context) {
	ticks := time.NewTicker(logLook)
	defer ticks.Stop()
	began := time.Now()
	last, warned := began, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		info, err := os.Stat(l.path)
		if err != nil || info.Size() == l.offset {
			continue
		}
		wait := cmp.Or(l.every, min(max(logSoon, time.Since(began)/300), logLate))
		if info.Size()-l.offset < logPart && time.Since(last) < wait {
			continue
		}
		last = time.Now()
		if err := l.upload(ctx); err != nil && ctx.Err() == nil && !warned {
			activity.GetLogger(ctx).Warn("log not stored while it is written", "prefix", l.prefix, "error", err)
			warned = true
		}
	}
}

// upload stores what was written since the last part. A part that is there already, of a try whose answer was lost, keeps
// its bytes and ends where it ends.
func (l *liveLog) upload(ctx context.Context) error {
	f, err := os.Open(l.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.NewSectionReader(f, l.offset, mostLivePart))
	if err != nil || len(raw) == 0 {
		return err
	}
	_, err = l.store.Create(ctx, logPartKey(l.prefix, l.offset), bytes.NewReader(raw), int64(len(raw)))
	if errors.Is(err, objectstore.ErrExists) {
		info, err := l.store.Stat(ctx, logPartKey(l.prefix, l.offset))
		l.offset += info.Size
		return err
	}
	if err != nil {
		return err
	}
	l.offset += int64(len(raw))
	return nil
}

func logPartKey(prefix string, offset int64) string {
	return fmt.Sprintf("%s%s%012d.txt", prefix, logFolder, offset)
}

// Attempts are the tokens of a run's training attempts, in the order that they began.
func Attempts(ctx context.Context, store objectstore.Lister, model string, number int) ([]string, error) {
	var tokens []string
	err := store.Folders(ctx, attemptsPrefix(model, number), func(token string) error {
		tokens = append(tokens, token)
		return nil
	})
	slices.SortFunc(tokens, func(a, b string) int {
		return cmp.Or(cmp.Compare(trialOf(a), trialOf(b)), strings.Compare(a, b))
	})
	return tokens, err
}

// OpenLog opens what is stored of an attempt's log from a byte on: the next part, or where the attempt has ended and left no
// more parts the rest of its whole log, which is final. objectstore.ErrNotFound: nothing yet.
func OpenLog(ctx context.Context, store objectstore.Getter, model string, number int, token string, from int64) (body io.ReadCloser, final bool, err error) {
	prefix := attemptsPrefix(model, number) + token + "/"
	body, _, err = store.Get(ctx, logPartKey(prefix, from))
	if !errors.Is(err, objectstore.ErrNotFound) {
		return body, false, err
	}
	if body, _, err = store.Get(ctx, prefix+logFile); err != nil {
		return nil, false, err
	}
	if _, err := io.CopyN(io.Discard, body, from); err != nil && !errors.Is(err, io.EOF) {
		_ = body.Close()
		return nil, false, err
	}
	return body, true, nil
}
