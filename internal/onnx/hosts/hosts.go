package hosts

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/onnx"
)

// Hosts runs models. It holds nothing until one is opened.
type Hosts struct{ config Config }

// New gives a runtime by that configuration. Nothing is looked for until a model is opened, so that a program that
// never meets one needs neither the host nor the library.
func New(c Config) *Hosts { return &Hosts{config: c.withDefaults()} }

// Open implements onnx.Runtime. The first process has loaded the model when it returns; the others follow.
func (h *Hosts) Open(ctx context.Context, call onnx.Call, model []byte) (onnx.Session, error) {
	at, err := h.config.find(ctx)
	if err != nil {
		return nil, err
	}
	call.Threads, call.Memory = h.config.Threads, h.config.memoryFor(len(model))
	load, err := onnx.LoadFrame(call, model)
	if err != nil {
		return nil, &onnx.ModelError{Message: err.Error()}
	}
	first, err := start(ctx, at, load, h.config.Threads, h.config.Start)
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.Background())
	s := &session{
		config: h.config, at: at, load: load, call: call, jobs: make(chan *job), running: running, cancel: cancel,
		down: make(chan struct{}), alive: 1,
	}
	for i := range h.config.Processes {
		p := first
		if i > 0 {
			p = nil
		}
		s.keepers.Go(func() { s.keep(p) })
	}
	return s, nil
}

// session is one model with its processes.
type session struct {
	config Config
	at     found
	load   []byte // the frame that loads the model
	call   onnx.Call

	jobs    chan *job
	running context.Context
	cancel  context.CancelFunc
	keepers sync.WaitGroup

	mu      sync.Mutex
	alive   int           // processes with the model loaded
	failure error         // of the newest start, while none is alive
	down    chan struct{} // closed while none is alive and the newest start has failed
}

// job is one question.
type job struct {
	frame  []byte
	rows   int
	answer onnx.Answer
	err    error
	done   chan struct{}
}

// Score implements onnx.Session. A question whose host ended by itself is asked once more: scoring changes nothing, and the
// host may have been ended by someone else. One that took too long isn't.
//
// The time is the asker's, waiting included. A host has as much again from when it is given a question, so that one is
// ended for being slow and never since others had to wait: an overload would end them all.
func (s *session) Score(ctx context.Context, rows int, frame []byte) (onnx.Answer, error) {
	deadline := time.NewTimer(s.config.Timeout)
	defer deadline.Stop()
	for attempt := 1; ; attempt++ {
		j := &job{frame: frame, rows: rows, done: make(chan struct{})}
		if err := s.hand(ctx, j, deadline.C); err != nil {
			return onnx.Answer{}, err
		}
		select {
		case <-ctx.Done():
			return onnx.Answer{}, ctx.Err()
		case <-deadline.C:
			return onnx.Answer{}, fmt.Errorf("scoring %d rows by an ONNX host, waiting included, %w: over %v", rows, errSlow, s.config.Timeout)
		case <-j.done:
		}
		if attempt == 1 && errors.Is(j.err, errDied) && !errors.Is(j.err, errSlow) && s.running.Err() == nil {
			continue
		}
		return j.answer, j.err
	}
}

// hand gives a question to a process that is free.
func (s *session) hand(ctx context.Context, j *job, deadline <-chan time.Time) error {
	select {
	case s.jobs <- j: // mostly
		return nil
	default:
	}
	select {
	case s.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.running.Done():
		return errClosed
	case <-s.broken():
		s.mu.Lock()
		defer s.mu.Unlock()
		return fmt.Errorf("no ONNX host runs, and it is started again after a pause: %w", s.failure)
	case <-deadline:
		return fmt.Errorf("%d ONNX hosts were busy for %v", s.config.Processes, s.config.Timeout)
	}
}

var errClosed = errors.New("the model was closed")

func (s *session) broken() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

// Close implements onnx.Session.
func (s *session) Close() error {
	s.cancel()
	s.keepers.Wait()
	return nil
}

// Pauses before a process is started again, twice as long each time. One that has lived for settled starts over.
const (
	firstPause = 100 * time.Millisecond
	mostPause  = 30 * time.Second
	settled    = 10 * time.Second
)

// keep has one process run until the session ends, p first.
func (s *session) keep(p *process) {
	pause := firstPause
	for s.running.Err() == nil {
		if p == nil {
			started, err := start(s.running, s.at, s.load, s.config.Threads, s.config.Start)
			s.note(started != nil, err)
			if err != nil {
				s.rest(pause)
				pause = min(2*pause, mostPause)
				continue
			}
			p = started
		}
		since := time.Now()
		s.serve(p)
		p.end()
		p = nil
		s.mu.Lock()
		s.alive--
		s.mu.Unlock()
		if time.Since(since) >= settled {
			pause = firstPause
			continue // at once
		}
		s.rest(pause)
		pause = min(2*pause, mostPause)
	}
	if p != nil {
		p.end()
	}
}

// note keeps how a start went.
func (s *session) note(ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	isDown := false
	select {
	case <-s.down:
		isDown = true
	default:
	}
	switch {
	case ok:
		s.alive++
		if isDown {
			s.down = make(chan struct{})
		}
	case s.alive == 0 && s.running.Err() == nil:
		s.failure = err
		if !isDown {
			close(s.down)
		}
	}
}

func (s *session) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.running.Done():
	case <-timer.C:
	}
}

// serve has a process answer until it can't any more.
func (s *session) serve(p *process) {
	stop := context.AfterFunc(s.running, p.kill)
	defer stop()
	for {
		select {
		case <-s.running.Done():
			return
		case <-p.ended:
			return
		case j := <-s.jobs:
			j.answer, j.err = p.score(j, s.call.MaxColumns, s.config.Timeout)
			_, refused := errors.AsType[*onnx.RefusedError](j.err)
			usable := j.err == nil || refused
			if !usable && s.running.Err() != nil {
				j.err = errClosed
			}
			close(j.done)
			if !usable {
				return
			}
		}
	}
}
