//go:build unix

// Package slots hands out what training attempts run on: a machine's GPUs, one attempt each, and as many attempts
// without a GPU as their worker was told.
//
// A GPU is taken twice: within the worker, and from all other workers of the machine by a lock on a file, which goes with
// the trainer's processes and not with the worker. So it is free only when nothing uses it any more, however a worker
// ended.
package slots

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/training/gpu"
)

// lookEvery is how often a lock that another process holds is tried again: nobody tells when it is let go.
const lookEvery = 250 * time.Millisecond

// Need is what one attempt takes: so many GPUs of at least so much memory, or a slot without a GPU.
type Need struct {
	GPUs   int
	Memory int64 // bytes of each GPU; 0: any
}

func (n Need) String() string {
	switch {
	case n.GPUs == 0:
		return "a slot without GPU"
	case n.Memory == 0:
		return fmt.Sprintf("%d GPU(s)", n.GPUs)
	}
	return fmt.Sprintf("%d GPU(s) of %d bytes", n.GPUs, n.Memory)
}

// Lease is what one attempt has taken, until Release.
type Lease struct {
	Devices []gpu.Device
	// Locks are the open files of its locks. A trainer's supervisor and the trainer inherit them, so that they are held
	// for as long as either lives; whoever has handed them over may close them.
	Locks []*os.File

	pool  *Pool
	slots []*slot
	once  sync.Once
}

// Nothing is the lease of an attempt that nobody bounds.
func Nothing() *Lease { return &Lease{pool: New(Options{})} }

// Release gives everything back. It may be called again.
func (l *Lease) Release() {
	l.once.Do(func() {
		l.drop()
		l.pool.mu.Lock()
		defer l.pool.mu.Unlock()
		for _, s := range l.slots {
			s.taken = false
		}
		l.pool.changed()
	})
}

// slot is one place for an attempt, or a part of one.
type slot struct {
	device gpu.Device // none: a slot without GPU
	lock   string     // the lock's name; "": none
	taken  bool       // by an attempt of this worker
}

// Pool is what one worker has. It is safe for concurrent use.
type Pool struct {
	folder string

	mu   sync.Mutex
	gpus []*slot
	cpus []*slot
	turn chan struct{} // closed when something was given back
}

// Options are what a pool is made of.
type Options struct {
	GPUs []gpu.Device
	CPUs int // attempts without a GPU at once
	// Folder holds the locks of GPUs: the same for all workers of a machine. It must exist; "" without GPUs.
	Folder string
	// LockCPUs locks the slots without a GPU, too: workers that name the same folder then share them.
	LockCPUs bool
}

// New makes a pool.
func New(o Options) *Pool {
	p := &Pool{folder: o.Folder, turn: make(chan struct{})}
	for _, d := range o.GPUs {
		p.gpus = append(p.gpus, &slot{device: d, lock: "gpu-" + d.ID})
	}
	for i := range o.CPUs {
		s := &slot{}
		if o.LockCPUs {
			s.lock = "cpu-" + strconv.Itoa(i)
		}
		p.cpus = append(p.cpus, s)
	}
	return p
}

// changed wakes who waits; the caller holds the lock.
func (p *Pool) changed() {
	close(p.turn)
	p.turn = make(chan struct{})
}

// fitting are the free slots that a need may take, and how many of them it takes.
func (p *Pool) fitting(n Need) (free []*slot, want int) {
	of, want := p.cpus, 1
	if n.GPUs > 0 {
		of, want = p.gpus, n.GPUs
	}
	for _, s := range of {
		if !s.taken && s.device.Memory >= n.Memory {
			free = append(free, s)
		}
	}
	// The smallest that do: a larger GPU is left for who needs it.
	slices.SortStableFunc(free, func(a, b *slot) int { return int((a.device.Memory - b.device.Memory) >> 20) })
	return free, want
}

// Take takes what is needed, or nothing: ok is false where too little is free just now, in this worker or because another
// process of the machine holds it. An error is of the folder of locks.
func (p *Pool) Take(n Need) (_ *Lease, ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	free, want := p.fitting(n)
	if len(free) < want {
		return nil, false, nil
	}
	l := &Lease{pool: p}
	for _, s := range free {
		if len(l.slots) == want {
			break
		}
		if s.lock != "" {
			f, err := acquire(p.folder, s.lock)
			if err != nil {
				l.drop()
				return nil, false, err
			}
			if f == nil {
				continue // another worker's, or what is left of a trainer
			}
			l.Locks = append(l.Locks, f)
		}
		l.slots = append(l.slots, s)
	}
	if len(l.slots) < want {
		l.drop()
		return nil, false, nil
	}
	for _, s := range l.slots {
		s.taken = true
		if s.device.ID != "" {
			l.Devices = append(l.Devices, s.device)
		}
	}
	slices.SortFunc(l.Devices, func(a, b gpu.Device) int { return a.Index - b.Index })
	return l, true, nil
}

// drop closes this process's share of the locks.
func (l *Lease) drop() {
	for _, f := range l.Locks {
		_ = f.Close()
	}
}

// wait tries until it holds, each time that something was given back. Its errors are the context's and try's.
func (p *Pool) wait(ctx context.Context, try func() (bool, error)) error {
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	for {
		p.mu.Lock()
		turn := p.turn
		p.mu.Unlock()
		done, err := try()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-turn:
		case <-ticks.C:
		}
	}
}

// wake lets those who wait try again.
func (p *Pool) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed()
}

// Fits says whether so many attempts of a need could be taken now.
func (p *Pool) Fits(n Need, times int) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	free, want := p.fitting(n)
	want *= times
	if len(free) < want {
		return false, nil
	}
	for _, s := range free {
		if want == 0 {
			break
		}
		if s.lock != "" {
			held, err := isHeld(p.folder, s.lock)
			if err != nil {
				return false, err
			}
			if held {
				continue
			}
		}
		want--
	}
	return want == 0, nil
}

// InUse counts what this worker's attempts have taken.
func (p *Pool) InUse() (gpus, cpus int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := func(of []*slot) (n int) {
		for _, s := range of {
			if s.taken {
				n++
			}
		}
		return n
	}
	return count(p.gpus), count(p.cpus)
}
