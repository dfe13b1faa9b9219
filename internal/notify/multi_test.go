package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/notify"
	"github.com/leanloop/leanloop/internal/notify/notifytest"
)

// flaky is a provider that fails as often as it has errors, and counts what it is asked.
type flaky struct {
	notified, updated int
	errs              []error
}

func (f *flaky) fail() error {
	if len(f.errs) == 0 {
		return nil
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return err
}

func (f *flaky) Notify(_ context.Context, m notify.Message) (notify.Ref, error) {
	f.notified++
	if err := f.fail(); err != nil {
		return notify.Ref{}, err
	}
	return notify.Ref{Provider: "flaky", ID: m.Key}, nil
}

func (f *flaky) Update(context.Context, notify.Ref, notify.Message) error {
	f.updated++
	return f.fail()
}

func waits(after time.Duration) error {
	return &notify.Retryable{Provider: "flaky", After: after, Err: errors.New("slow down")}
}

var errRefused = &notify.Rejected{Provider: "flaky", Code: "channel_not_found"}

func multi(t *testing.T, providers ...notify.Notifier) *notify.Multi {
	n, err := notify.NewMulti(providers...)
	require.NoError(t, err)
	return n
}

func TestMultiResumesWhereAMessageIsMissing(t *testing.T) {
	ctx, m := context.Background(), notifytest.Message()
	fine, slow, away, refuses := &flaky{}, &flaky{errs: []error{waits(time.Second)}}, &flaky{errs: []error{waits(time.Minute), errors.New("away")}}, &flaky{errs: []error{errRefused}}
	n := multi(t, fine, slow, away, refuses)

	ref, err := n.Notify(ctx, m)
	var partial *notify.Partial
	require.ErrorAs(t, err, &partial)
	require.Len(t, partial.Missing, 2)
	require.Equal(t, []error{errRefused}, partial.Refused)
	require.Equal(t, time.Minute, partial.After(), "the longest wait")
	require.Equal(t, ref, partial.Rest)

	stored, err := json.Marshal(partial.Rest)
	require.NoError(t, err)
	var rest notify.Ref
	require.NoError(t, json.Unmarshal(stored, &rest))
	ref, err = n.Resume(ctx, rest, m)
	require.ErrorAs(t, err, &partial)
	require.Len(t, partial.Missing, 1)
	require.Empty(t, partial.Refused, "it was told before")

	ref, err = n.Resume(ctx, ref, m)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3, 1}, []int{fine.notified, slow.notified, away.notified, refuses.notified})
	require.NoError(t, n.Update(ctx, ref, m))
	require.Equal(t, []int{1, 1, 1, 0}, []int{fine.updated, slow.updated, away.updated, refuses.updated}, "it never arrived where it was refused")
}

func TestMultiUpdatesTheRest(t *testing.T) {
	ctx, m := context.Background(), notifytest.Message()
	fine, away, refuses := &flaky{}, &flaky{}, &flaky{}
	n := multi(t, fine, away, refuses)
	ref, err := n.Notify(ctx, m)
	require.NoError(t, err)
	away.errs, refuses.errs = []error{waits(0)}, []error{errRefused}
	var partial *notify.Partial
	require.ErrorAs(t, n.Update(ctx, ref, m), &partial)
	require.NoError(t, n.Update(ctx, partial.Rest, m))
	require.Equal(t, []int{1, 2, 1}, []int{fine.updated, away.updated, refuses.updated})
}

func TestMultiIsRefusedWhereAllRefuse(t *testing.T) {
	n := multi(t, &flaky{errs: []error{errRefused}}, &flaky{errs: []error{errRefused}})
	ref, err := n.Notify(context.Background(), notifytest.Message())
	require.ErrorIs(t, err, errRefused)
	require.Zero(t, ref)
	_, isPartial := errors.AsType[*notify.Partial](err)
	require.False(t, isPartial)
}

func TestMultiStartsAnewWithOtherProviders(t *testing.T) {
	fine, away := &flaky{}, &flaky{errs: []error{waits(0)}}
	ctx, m := context.Background(), notifytest.Message()
	ref, err := multi(t, fine, away).Notify(ctx, m)
	require.Error(t, err)
	_, err = multi(t, fine).Resume(ctx, ref, m)
	require.NoError(t, err)
	require.Equal(t, 2, fine.notified)
	require.EqualError(t, multi(t, fine).Update(ctx, ref, m), `notify: message "lifecycle/flight-delay/7/approval" went to 2 providers, there are 1`)
}
