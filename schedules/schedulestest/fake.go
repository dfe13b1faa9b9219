// Package schedulestest is a Temporal schedule service in memory, for tests: it keeps what it is given as the server
// does, cron lines as calendars and arguments encoded.
package schedulestest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
)

// Client is a client.ScheduleClient. It isn't safe for concurrent use.
type Client struct {
	Calls []string // "create drift/m", "update drift/m", ... in order
	// BeforeCreate, if set, runs before each creation: another client may be first.
	BeforeCreate func(id string)

	schedules map[string]*client.Schedule
}

// New is a service without schedules.
func New() *Client { return &Client{schedules: map[string]*client.Schedule{}} }

// Schedule is one as it is kept.
func (c *Client) Schedule(id string) (*client.Schedule, bool) {
	s, ok := c.schedules[id]
	return s, ok
}

// IDs are those there are, in order.
func (c *Client) IDs() []string {
	var ids []string
	for id := range c.schedules {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Create implements client.ScheduleClient.
func (c *Client) Create(ctx context.Context, o client.ScheduleOptions) (client.ScheduleHandle, error) {
	if hook := c.BeforeCreate; hook != nil {
		c.BeforeCreate = nil
		hook(o.ID)
	}
	if _, taken := c.schedules[o.ID]; taken {
		return nil, temporal.ErrScheduleAlreadyRunning
	}
	timing := o.Spec
	kept, err := keep(&client.Schedule{
		Action: o.Action, Spec: &timing, State: &client.ScheduleState{Note: o.Note, Paused: o.Paused},
		Policy: &client.SchedulePolicies{Overlap: o.Overlap, CatchupWindow: o.CatchupWindow, PauseOnFailure: o.PauseOnFailure},
	})
	if err != nil {
		return nil, err
	}
	c.Calls = append(c.Calls, "create "+o.ID)
	c.schedules[o.ID] = kept
	return c.GetHandle(ctx, o.ID), nil
}

// List isn't needed: ids follow from models.
func (c *Client) List(context.Context, client.ScheduleListOptions) (client.ScheduleListIterator, error) {
	return nil, errors.New("schedulestest: List is not kept")
}

// GetHandle implements client.ScheduleClient.
func (c *Client) GetHandle(_ context.Context, id string) client.ScheduleHandle {
	return &handle{client: c, id: id}
}

// keep is a schedule as the server returns it.
func keep(s *client.Schedule) (*client.Schedule, error) {
	action, ok := s.Action.(*client.ScheduleWorkflowAction)
	if !ok {
		return nil, fmt.Errorf("schedulestest: action %T", s.Action)
	}
	a := *action
	a.Args = nil
	for _, arg := range action.Args {
		payload, err := converter.GetDefaultDataConverter().ToPayload(arg)
		if err != nil {
			return nil, err
		}
		a.Args = append(a.Args, payload)
	}
	timing := *s.Spec
	timing.CronExpressions = nil
	for _, line := range s.Spec.CronExpressions {
		_, comment, _ := strings.Cut(line, "#")
		timing.Calendars = append(timing.Calendars, client.ScheduleCalendarSpec{Comment: strings.TrimSpace(comment)})
	}
	return &client.Schedule{Action: &a, Spec: &timing, Policy: s.Policy, State: s.State}, nil
}

type handle struct {
	client.ScheduleHandle // what isn't below panics
	client                *Client
	id                    string
}

func (h *handle) GetID() string { return h.id }

func (h *handle) find() (*client.Schedule, error) {
	s, ok := h.client.schedules[h.id]
	if !ok {
		return nil, serviceerror.NewNotFound("schedule not found")
	}
	return s, nil
}

func (h *handle) Describe(context.Context) (*client.ScheduleDescription, error) {
	s, err := h.find()
	if err != nil {
		return nil, err
	}
	return &client.ScheduleDescription{Schedule: *s}, nil
}

func (h *handle) Update(_ context.Context, o client.ScheduleUpdateOptions) error {
	s, err := h.find()
	if err != nil {
		return err
	}
	u, err := o.DoUpdate(client.ScheduleUpdateInput{Description: client.ScheduleDescription{Schedule: *s}})
	if err != nil {
		return err
	}
	kept, err := keep(u.Schedule)
	if err != nil {
		return err
	}
	h.client.Calls = append(h.client.Calls, "update "+h.id)
	h.client.schedules[h.id] = kept
	return nil
}

func (h *handle) Delete(context.Context) error {
	if _, err := h.find(); err != nil {
		return err
	}
	h.client.Calls = append(h.client.Calls, "delete "+h.id)
	delete(h.client.schedules, h.id)
	return nil
}

func (h *handle) Pause(_ context.Context, o client.SchedulePauseOptions) error {
	return h.setPaused(true, o.Note)
}

func (h *handle) Unpause(_ context.Context, o client.ScheduleUnpauseOptions) error {
	return h.setPaused(false, o.Note)
}

func (h *handle) setPaused(paused bool, note string) error {
	s, err := h.find()
	if err != nil {
		return err
	}
	s.State = &client.ScheduleState{Paused: paused, Note: note}
	return nil
}
