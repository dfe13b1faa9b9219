package serving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/predictions"
)

// store sends one part and ends its file. An error is the store's: a part that can't be read is set aside, since it
// mustn't keep the others waiting.
func (l *predictionLog) store(ctx context.Context, p *sealedPart) error {
	if p.packed == nil {
		if err := l.pack(p); err != nil {
			return l.giveUp(p, err)
		}
	}
	if p.rows > 0 {
		_, err := l.server.ports.Store.Create(ctx, p.header.Key, bytes.NewReader(p.packed), int64(len(p.packed)))
		if err != nil && !errors.Is(err, objectstore.ErrExists) { // exists: an earlier call whose answer was lost
			return fmt.Errorf("prediction log %s: %w", p.header.Key, err)
		}
		l.server.metrics.logWritten.Add(float64(p.rows))
	}
	if p.file != nil {
		if err := p.file.remove(); err != nil { // the next process finds it stored already
			l.server.log().Warn("predictions that are stored can't be removed from the state folder", "file", filepath.Base(p.path), "error", err)
		}
	}
	return nil
}

// pack makes a part of its rows.
func (l *predictionLog) pack(p *sealedPart) error {
	var frames [][]byte
	if p.file != nil {
		header, rows, torn, err := p.file.read()
		if err != nil {
			return err
		}
		if err := header.check(); err != nil {
			return err
		}
		if torn > 0 {
			l.server.log().Warn("predictions whose last write broke off", "file", filepath.Base(p.path), "bytes", torn)
		}
		p.header, frames = header, rows
	}
	if len(p.tail) > 0 {
		frames = append(frames, p.tail)
	}
	packed, rows, err := packRows(p.header, frames)
	if err != nil {
		return err
	}
	p.packed, p.rows = packed, rows
	return nil
}

// packRows writes frames of rows as Parquet.
func packRows(h logHeader, frames [][]byte) (packed []byte, rows int, err error) {
	var out bytes.Buffer
	w, err := predictions.NewWriter(&out, h.Model, h.Version, h.Features)
	if err != nil {
		return nil, 0, err
	}
	var kinds []string
	for _, f := range h.Features {
		kinds = append(kinds, f.Type)
	}
	for _, frame := range frames {
		r := logRows{data: frame, kinds: kinds}
		for {
			row, more, err := r.next()
			if err != nil {
				return nil, 0, err
			}
			if !more {
				break
			}
			if err := w.Add(row); err != nil {
				return nil, 0, err
			}
			rows++
		}
	}
	if err := w.Close(); err != nil {
		return nil, 0, err
	}
	return out.Bytes(), rows, nil
}

// check says what a header names that no gateway writes.
func (h logHeader) check() error {
	version, ok := predictions.VersionOf(h.Key)
	if !ok || version != h.Version || !strings.HasPrefix(h.Key, "predictions/"+h.Model+"/") {
		return fmt.Errorf("it names the object %q for version %d of %q", h.Key, h.Version, h.Model)
	}
	return nil
}

// giveUp counts a part that can't be read as dropped, and keeps its file for people.
func (l *predictionLog) giveUp(p *sealedPart, why error) error {
	l.server.metrics.logDropped.Add(float64(max(1, p.rows)))
	if p.file != nil && p.file.size > 0 {
		why = errors.Join(why, p.file.setAside())
	} else if p.file != nil {
		why = p.file.remove() // its process ended before it wrote a byte
	}
	if why != nil {
		l.server.log().Error("predictions can't be sent", "file", filepath.Base(p.path), "rows", p.rows, "error", why)
	}
	return nil
}
