package schedules

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// Read describes those of a model's schedules that are there.
func Read(ctx context.Context, c client.ScheduleClient, model string) ([]Current, error) {
	var out []Current
	for _, id := range IDs(model) {
		d, err := c.GetHandle(ctx, id).Describe(ctx)
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("schedule %s: %w", id, err)
		}
		s, err := fromTemporal(id, d)
		if err != nil {
			return nil, fmt.Errorf("schedule %s: %w", id, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// Plan says what Apply would do.
func Plan(ctx context.Context, c client.ScheduleClient, model string, desired []Schedule) ([]Change, error) {
	current, err := Read(ctx, c, model)
	if err != nil {
		return nil, err
	}
	return Diff(current, desired), nil
}

// Apply makes a model's schedules the desired ones: it creates those that aren't there, updates those that differ and
// deletes those that aren't asked for. One that is paused stays paused. It may be repeated, and run by two at once: the
// second finds nothing left to do. On an error it returns what was done before it.
func Apply(ctx context.Context, c client.ScheduleClient, model string, desired []Schedule) ([]Change, error) {
	plan, err := Plan(ctx, c, model, desired)
	if err != nil {
		return nil, err
	}
	for i, change := range plan {
		at := slices.IndexFunc(desired, func(s Schedule) bool { return s.ID == change.ID })
		switch change.Action {
		case ActionCreate:
			err = create(ctx, c, desired[at])
		case ActionUpdate:
			err = update(ctx, c, desired[at])
		case ActionDelete:
			if err = c.GetHandle(ctx, change.ID).Delete(ctx); missing(err) {
				err = nil
			}
		}
		if err != nil {
			return plan[:i], fmt.Errorf("%s schedule %s: %w", change.Action, change.ID, err)
		}
	}
	return plan, nil
}

// create makes a schedule; where somebody else made it since it was looked for, it is updated.
func create(ctx context.Context, c client.ScheduleClient, s Schedule) error {
	_, err := c.Create(ctx, toOptions(s))
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return update(ctx, c, s)
	}
	return err
}

// update replaces everything but the state: a pause and its note are a person's.
func update(ctx context.Context, c client.ScheduleClient, s Schedule) error {
	return c.GetHandle(ctx, s.ID).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			return &client.ScheduleUpdate{Schedule: toSchedule(s, in.Description.Schedule.State)}, nil
		},
	})
}

func missing(err error) bool {
	_, ok := errors.AsType[*serviceerror.NotFound](err)
	return ok
}
