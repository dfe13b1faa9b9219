package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// maxBatchBytes keeps a request well under what a gateway takes by default.
const maxBatchBytes = 1 << 20

// predictor sends rows as they are read.
type predictor struct {
	model   string
	url     string
	columns []spec.ColumnRule
	most    int // rows of one request
	client  *http.Client
	take    func([]prediction) error

	body  bytes.Buffer
	rows  int // in body
	asked int
}

// discarding is a Visitor that lets a scan find out whether the file can be read.
type discarding struct{}

func (discarding) Begin([]spec.ColumnRule) error { return nil }
func (discarding) Rows(dataset.Chunk) error      { return nil }

// asking is the Visitor that sends.
type asking struct {
	*predictor
	ctx context.Context // of the command: a Visitor gets none
}

// Begin starts the first request.
func (a asking) Begin([]spec.ColumnRule) error { return nil }

// Rows adds rows to the request, and sends those that are full.
func (a asking) Rows(c dataset.Chunk) error {
	labels := make([]func(row int) string, len(c.Columns))
	names := make([]string, len(c.Columns))
	for i := range c.Columns {
		labels[i] = inference.Labeller(&c.Columns[i])
		name, err := json.Marshal(c.Columns[i].Name)
		if err != nil {
			return err
		}
		names[i] = string(name)
	}
	for row := range c.Table.Rows {
		if a.rows == 0 {
			a.body.WriteString(`{"instances":[{`)
		} else {
			a.body.WriteString(`,{`)
		}
		for i := range c.Columns {
			if i > 0 {
				a.body.WriteByte(',')
			}
			a.body.WriteString(names[i])
			a.body.WriteByte(':')
			if err := appendValue(&a.body, &c.Columns[i], row, labels[i]); err != nil {
				return err
			}
		}
		a.body.WriteByte('}')
		a.rows++
		if a.rows >= a.most || a.body.Len() >= maxBatchBytes {
			if err := a.send(a.ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendValue writes a cell as JSON.
func appendValue(body *bytes.Buffer, c *dataset.Column, row int, label func(row int) string) error {
	var value any
	switch {
	case c.Null(row):
	case c.Kind == dataset.Boolean:
		value = c.Floats[row] == 1
	case c.Floats != nil:
		value = c.Floats[row]
	case c.Kind == dataset.Timestamp:
		value = time.Unix(0, c.Times[row]).UTC().Format(time.RFC3339Nano)
	default:
		value = label(row)
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("column %q: %w", c.Name, err)
	}
	body.Write(raw)
	return nil
}

// Tries of one request: a gateway that has too much to do, or restarts, says when to come back.
const (
	predictTries = 6
	longestWait  = 10 * time.Second
)

// send asks for the rows that wait, and hands their answers on.
func (q *predictor) send(ctx context.Context) error {
	if q.rows == 0 {
		return nil
	}
	q.body.WriteString("]}")
	first := q.asked + 1
	for try := 1; ; try++ {
		answers, wait, err := q.post(ctx)
		if err == nil && len(answers) != q.rows {
			err = fmt.Errorf("%d answers to %d rows", len(answers), q.rows)
		}
		if err == nil {
			q.asked += q.rows
			q.rows = 0
			q.body.Reset()
			return q.take(answers)
		}
		if wait == 0 || try == predictTries {
			return fmt.Errorf("rows %d to %d of the file: %w", first, first+q.rows-1, err)
		}
		if err := pauseFor(ctx, min(wait, longestWait)); err != nil {
			return err
		}
	}
}

// pauseFor waits, or returns why it didn't.
func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// post makes one request. wait is how long to wait before the same again may succeed; 0: it can't.
func (q *predictor) post(ctx context.Context) (answers []prediction, wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, q.url+"/predict/"+q.model, bytes.NewReader(q.body.Bytes()))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := q.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		var said struct{ Error string }
		_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&said) // the status says enough
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
			seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
			wait = time.Duration(max(1, seconds)) * time.Second
		}
		return nil, wait, fmt.Errorf("%s answered %s: %s", q.url, resp.Status, oneLine(said.Error))
	}
	var answer struct{ Predictions []prediction }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<30)).Decode(&answer); err != nil {
		return nil, 0, fmt.Errorf("%s: its answer: %w", q.url, err)
	}
	return answer.Predictions, 0, nil
}
