// Package notifytest holds every notify.Notifier to the port's promises.
package notifytest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/notify"
)

// Message is one with every part filled.
func Message() notify.Message {
	return notify.Message{
		Key: "lifecycle/flight-delay/7/approval", Model: "flight-delay", Lifecycle: "lifecycle/flight-delay/7", Severity: notify.Warning,
		Title: "Version 7 waits for approval", Text: "F1 0.74 >= 0.70 & 12 of 12 <gates> passed",
		Fields:  []notify.Field{{Name: "Champion", Value: "version 6"}, {Name: "roc_auc", Value: "0.912 (+0.004)"}},
		Links:   []notify.Link{{Text: "Workflow", URL: "http://127.0.0.1:8233/namespaces/default"}},
		Actions: []notify.Action{{Kind: notify.ActionApprove, Text: "Approve", Value: "7:5f2a"}, {Kind: notify.ActionReject, Text: "Reject", Value: "7:5f2a"}},
	}
}

// Run is the contract. newNotifier gives a provider that is reachable.
func Run(t *testing.T, newNotifier func(t *testing.T) notify.Notifier) {
	ctx := context.Background()
	t.Run("a message has a reference by which it is updated", func(t *testing.T) {
		n := newNotifier(t)
		ref, err := n.Notify(ctx, Message())
		require.NoError(t, err)
		require.NotZero(t, ref)
		after := Message()
		after.Title, after.Actions = "Version 7 was approved by cli:ana", nil
		require.NoError(t, n.Update(ctx, ref, after))
		require.NoError(t, n.Update(ctx, ref, after), "the same update twice")
	})
	t.Run("a message of key and title alone is sent", func(t *testing.T) {
		_, err := newNotifier(t).Notify(ctx, notify.Message{Key: "k", Title: "t"})
		require.NoError(t, err)
	})
	t.Run("an update without a reference is refused", func(t *testing.T) {
		require.ErrorIs(t, newNotifier(t).Update(ctx, notify.Ref{}, Message()), notify.ErrNoRef)
	})
	t.Run("what no provider takes is refused before it is sent", func(t *testing.T) {
		n := newNotifier(t)
		for says, change := range map[string]func(*notify.Message){
			"has no key":            func(m *notify.Message) { m.Key = "" },
			"has no title":          func(m *notify.Message) { m.Title = "" },
			"is unknown":            func(m *notify.Message) { m.Actions[0].Kind = "promote" },
			"has 2001 bytes > 2000": func(m *notify.Message) { m.Actions[0].Value = strings.Repeat("x", 2001) },
		} {
			m := Message()
			change(&m)
			_, err := n.Notify(ctx, m)
			require.ErrorContains(t, err, says)
			require.Error(t, n.Update(ctx, notify.Ref{Provider: "x", Channel: "c", ID: "1"}, m))
		}
	})
	t.Run("a message too long for the provider is cut, not refused", func(t *testing.T) {
		m := Message()
		m.Title, m.Text = strings.Repeat("é", 5000), strings.Repeat("&", 50000)
		for i := range 35 {
			m.Fields = append(m.Fields, notify.Field{Name: fmt.Sprint(i), Value: strings.Repeat("v", 5000)})
		}
		_, err := newNotifier(t).Notify(ctx, m)
		require.NoError(t, err)
	})
	t.Run("many may send at once", func(t *testing.T) {
		n := newNotifier(t)
		var wait sync.WaitGroup
		for i := range 16 {
			wait.Go(func() {
				m := Message()
				m.Key = fmt.Sprint(i)
				_, err := n.Notify(ctx, m)
				if err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
	})
}
