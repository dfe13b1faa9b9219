package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
)

const (
	fileSpent = "spent.json" // what an attempt took, in its own folder
	// bookEvery is how often a running attempt books: a worker that is killed takes with it what came after.
	bookEvery = 30 * time.Second
	// bookWithin is how long the last booking may take: no more, since a training's result waits for it.
	bookWithin = 3 * time.Second
)

// AttemptCost is what one training attempt took, however it ended.
type AttemptCost struct {
	Attempt int       `json:"attempt"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Cost    float64   `json:"cost,omitempty"`  // in the budget's currency
	Ended   string    `json:"ended,omitempty"` // why, in words; "": it runs, or its worker is gone
}

// meter books an attempt's cost while it runs.
type meter struct {
	lake    *Lake
	key     string
	perHour float64

	mu   sync.Mutex
	cost AttemptCost
}

// startMeter books that an attempt has begun, and goes on until the returned function is called with its end.
func startMeter(ctx context.Context, lake *Lake, m *spec.Model, in TrainInput, prefix string) (stop func(error)) {
	b := &meter{lake: lake, key: prefix + fileSpent, perHour: m.HourlyCost(), cost: AttemptCost{Attempt: in.Attempt, Started: lake.Now().UTC()}}
	b.book(ctx, "")
	done := make(chan struct{})
	var booking sync.WaitGroup
	booking.Go(func() {
		ticks := time.NewTicker(bookEvery)
		defer ticks.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticks.C:
				b.book(ctx, "")
			}
		}
	})
	return func(err error) {
		close(done)
		booking.Wait()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookWithin)
		defer cancel()
		ended := "it made a model"
		if err != nil {
			ended = clip(err.Error(), maxText)
		}
		b.book(last, ended)
	}
}

// book stores what the attempt has taken so far. A store that is away costs the entry, not the training.
func (b *meter) book(ctx context.Context, ended string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cost.Seconds = b.lake.Now().Sub(b.cost.Started).Seconds()
	b.cost.Cost, b.cost.Ended = b.cost.Seconds/3600*b.perHour, ended
	raw, err := json.Marshal(b.cost)
	if err == nil {
		_, err = b.lake.Store.Put(ctx, b.key, bytes.NewReader(raw), int64(len(raw)))
	}
	if err != nil {
		activity.GetLogger(ctx).Warn("cost of an attempt not booked", "key", b.key, "error", err)
	}
}

// spent adds up what a run's attempts have booked.
func spent(ctx context.Context, store objectstore.Store, model string, number int) (float64, error) {
	total, prefix := 0.0, attemptsPrefix(model, number)
	err := store.Folders(ctx, prefix, func(token string) error {
		var c AttemptCost
		err := getJSON(ctx, store, prefix+token+"/"+fileSpent, &c)
		if errors.Is(err, objectstore.ErrNotFound) {
			return nil
		}
		total += c.Cost
		return err
	})
	return total, err
}

// attemptLimit is how long an attempt may take: the spec's limit, or as long as what is left of the run's budget lasts for
// so many attempts at once.
func attemptLimit(m *spec.Model, spent float64, atOnce int) (time.Duration, error) {
	limit, budget := trainLimit(m), m.Budget.PerRun
	if budget.Amount <= 0 || m.HourlyCost() <= 0 {
		return limit, nil
	}
	left := time.Duration((budget.Amount - spent) / float64(atOnce) / m.HourlyCost() * float64(time.Hour))
	if left < time.Second {
		return 0, permanent(ErrorTrainInput, &overBudget{spent: spent, budget: budget})
	}
	return min(limit, left), nil
}

// overBudget says that a run's budget for training is used up.
type overBudget struct {
	spent  float64
	budget spec.Money
}

func (e *overBudget) Error() string {
	return fmt.Sprintf("budget.per_run: its attempts have spent %.2f of %.2f %s", e.spent, e.budget.Amount, e.budget.Currency)
}

func attemptsPrefix(model string, number int) string { return runPrefix(model, number) + "attempts/" }
