package main

import (
	"context"
	"io"
)

// pipeReader reads a stream that may keep its reader waiting for ever, a terminal or a pipe, until its context ends.
type pipeReader struct {
	ctx    context.Context
	blocks chan block
	rest   []byte
	err    error
}

// block is what one Read gave.
type block struct {
	data []byte
	err  error
}

// newPipeReader starts to read. Its goroutine ends with the stream, or when the context has and a Read returns.
func newPipeReader(ctx context.Context, from io.Reader) *pipeReader {
	p := &pipeReader{ctx: ctx, blocks: make(chan block)}
	go func() {
		for {
			data := make([]byte, 64<<10)
			n, err := from.Read(data)
			select {
			case p.blocks <- block{data[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return p
}

// Read implements io.Reader.
func (p *pipeReader) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		select {
		case next := <-p.blocks:
			p.rest, p.err = next.data, next.err
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
