//go:build unix

package slots

import (
	"context"
	"slices"
	"sync"
)

// Desk hands one pool's slots to tasks that come by several queues, each of which knows what one of its tasks needs.
//
// A queue is asked for a task only while that task would fit: Reserve waits for it, Use takes the slots when the task has
// come, Claim gives them to who does the work and gives them back, Return ends the task. Two queues may wait for a task with the same free slot in
// view, else a run of one would wait for the other's to come; where both get one at once, the second's Claim says that
// nothing is free, and its task is given back.
type Desk struct {
	pool  *Pool
	needs map[string]Need

	mu      sync.Mutex
	waiting map[string]int       // tickets without a task yet, by queue
	unseen  map[string][]*Ticket // tickets whose task has come and hasn't claimed its slots
}

// Ticket is the right to one task of a queue.
type Ticket struct {
	queue         string
	used, claimed bool
	lease         *Lease
}

// NewDesk makes a desk for the queues of needs.
func NewDesk(pool *Pool, needs map[string]Need) *Desk {
	return &Desk{pool: pool, needs: needs, waiting: map[string]int{}, unseen: map[string][]*Ticket{}}
}

// Reserve waits until one task more of a queue would fit. Its errors are the context's, and those of the folder of locks.
func (d *Desk) Reserve(ctx context.Context, queue string) (*Ticket, error) {
	err := d.pool.wait(ctx, func() (bool, error) { return d.admit(queue) })
	if err != nil {
		return nil, err
	}
	return &Ticket{queue: queue}, nil
}

// admit counts one task more of a queue, if it would fit beside those that are asked for.
func (d *Desk) admit(queue string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fits, err := d.pool.Fits(d.needs[queue], d.waiting[queue]+1)
	if fits {
		d.waiting[queue]++
	}
	return fits, err
}

// Use says that a task has come. It takes its slots, if they are still free.
func (d *Desk) Use(t *Ticket) error {
	lease, _, err := d.pool.Take(d.needs[t.queue])
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting[t.queue]--
	t.used, t.lease = true, lease
	d.unseen[t.queue] = append(d.unseen[t.queue], t)
	if lease == nil {
		d.pool.wake() // what was kept for it is for others
	}
	return err
}

// Claim gives the slots of a task that has come by a queue, to be released by who claims them; nil where they were gone.
// Tasks of one queue are alike, so it doesn't matter which of them claims whose.
func (d *Desk) Claim(queue string) *Lease {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.unseen[queue]) == 0 {
		return nil
	}
	t := d.unseen[queue][0]
	d.unseen[queue] = d.unseen[queue][1:]
	t.claimed = true
	return t.lease
}

// Return ends a ticket, whether a task has come or not. Slots that nobody has claimed are given back.
func (d *Desk) Return(t *Ticket) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !t.used {
		d.waiting[t.queue]--
		d.pool.wake()
		return
	}
	if t.claimed {
		return
	}
	d.unseen[t.queue] = slices.DeleteFunc(d.unseen[t.queue], func(u *Ticket) bool { return u == t })
	if t.lease != nil {
		t.lease.Release()
	}
}
