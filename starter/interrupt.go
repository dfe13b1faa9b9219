package main

import "context"

// interruptible waits for work that knows no context, and for no longer than the context lasts: what it computes then
// is of no use any more, and the process is about to end.
func interruptible[T any](ctx context.Context, work func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		value, err := work()
		done <- answer{value, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
