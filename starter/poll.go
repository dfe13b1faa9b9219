package main

import (
	"context"
	"time"
)

// poll looks until done says so, fails, or the limit (0: none) is over, which is a *waitError that says what was waited
// for. It looks at once first.
func poll(ctx context.Context, what string, every, limit time.Duration, done func(context.Context) (bool, error)) error {
	var over <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		over = timer.C
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := done(ctx)
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
			return &waitError{what: what, limit: limit.String()}
		case <-tick.C:
		}
	}
}
