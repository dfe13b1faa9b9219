package notify_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/notify"
	"github.com/leanloop/leanloop/internal/notify/notifytest"
	"github.com/leanloop/leanloop/internal/notify/slacktest"
	"github.com/leanloop/leanloop/internal/objectstore"
)

// office is a workspace, a bucket, and outboxes on them, with a clock that is moved.
type office struct {
	*slacktest.Server
	store *objectstore.Memory
	mu    sync.Mutex
	at    time.Time
}

func newOffice(t *testing.T) *office {
	return openOffice(slacktest.New(t))
}

func openOffice(s *slacktest.Server) *office {
	o := &office{Server: s, store: objectstore.NewMemory(), at: time.Now()}
	o.Clock = o.now
	return o
}

func (o *office) now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at = o.at.Add(time.Millisecond)
	return o.at
}

func (o *office) pass(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at = o.at.Add(d)
}

// worker is one process' outbox.
func (o *office) worker(t require.TestingT) *notify.Outbox {
	s, err := notify.NewSlack(notify.SlackConfig{Token: slacktest.BotToken, Channel: "#ml", APIURL: o.URL, Store: o.store})
	require.NoError(t, err)
	return notify.NewOutbox(s, o.store, o.now, slog.New(slog.DiscardHandler))
}

func (o *office) down() {
	o.Fail(func(string, int) *slacktest.Failure { return &slacktest.Failure{Status: 503} })
}

func of(key, thread, title string) notify.Message {
	return notify.Message{Key: key, Thread: thread, Model: "flights", Title: title}
}

// said is the first line of each message in the channel.
func (o *office) said() (titles []string) {
	for _, m := range o.Messages() {
		titles = append(titles, strings.TrimPrefix(strings.SplitN(m.Text, "\n", 2)[0], ":information_source: "))
	}
	return titles
}

func TestAnOutboxKeepsTheContractUpAndDown(t *testing.T) {
	notifytest.Run(t, func(t *testing.T) notify.Notifier { return newOffice(t).worker(t) })
	notifytest.Run(t, func(t *testing.T) notify.Notifier {
		o := newOffice(t)
		o.down()
		return o.worker(t)
	})
}

func TestAnHourWithoutSlackLosesNothingAndDoublesNothing(t *testing.T) {
	o := newOffice(t)
	w, ctx := o.worker(t), t.Context()
	o.down()
	asked, err := w.Notify(ctx, of("run/7/approval", "run/7", "approve version 7?"))
	require.NoError(t, err, "nothing is held up")
	again, err := o.worker(t).Notify(ctx, of("run/7/approval", "run/7", "approve version 7?")) // the activity is tried once more, elsewhere
	require.NoError(t, err)
	require.Equal(t, asked, again)
	for range 60 {
		o.pass(time.Minute)
		require.Error(t, w.Deliver(ctx))
	}
	require.NoError(t, w.Update(ctx, asked, of("run/7/decided", "run/7", "approved by ana")))
	_, err = w.Notify(ctx, of("run/7/closed", "run/7", "run 7 ended promoted"))
	require.NoError(t, err)
	require.Empty(t, o.Messages())

	o.Fail(nil)
	_, err = w.Notify(ctx, of("run/7/note", "run/7", "a late note")) // Slack is back, and what waits comes first
	require.NoError(t, err)
	_, err = w.Notify(ctx, of("run/8/closed", "run/8", "another run's")) // which holds up nobody else
	require.NoError(t, err)
	require.Equal(t, []string{"another run's"}, o.said())
	for range 3 {
		o.pass(time.Minute)
		require.NoError(t, w.Deliver(ctx))
		require.NoError(t, o.worker(t).Deliver(ctx))
	}
	require.Equal(t, []string{"another run's", "approved by ana", "run 7 ended promoted", "a late note"}, o.said(), "in order, once, and of the question its end alone")
	thread := o.Messages()[1]
	require.Empty(t, thread.Thread)
	for _, m := range o.Messages()[2:] {
		require.Equal(t, thread.TS, m.Thread, "replies to the run's first message")
	}
	require.NoError(t, w.Update(ctx, asked, of("run/7/decided", "run/7", "void")))
	require.Equal(t, "void", o.said()[1], "a reference from the outage finds its message")
}

func TestALostAnswerNeverDoublesAMessage(t *testing.T) {
	for _, channel := range []string{"", "#flights", "C0000OPS"} {
		for _, thread := range []string{"", "run/7"} {
			t.Run(channel+" "+thread, func(t *testing.T) {
				o := newOffice(t)
				w, ctx := o.worker(t), t.Context()
				if thread != "" {
					first := of("run/7/first", thread, "first")
					first.Channel = channel
					_, err := w.Notify(ctx, first)
					require.NoError(t, err)
				}
				m := of("run/7/closed", thread, "closed")
				m.Channel = channel
				o.Fail(func(method string, call int) *slacktest.Failure {
					if method == "chat.postMessage" {
						return &slacktest.Failure{Lost: true}
					}
					return nil
				})
				_, err := w.Notify(ctx, m)
				require.NoError(t, err)
				posted := len(o.Messages())
				o.Fail(nil)
				o.pass(2 * time.Minute)
				require.NoError(t, w.Deliver(ctx))
				require.Len(t, o.Messages(), posted, "the delivery found what was posted")
				m.Since = time.Now() // another attempt of the activity, by a process that knows nothing
				ref, err := o.direct(t).Notify(ctx, m)
				require.NoError(t, err)
				require.Equal(t, o.Messages()[posted-1].TS, ref.ID)
				require.Len(t, o.Messages(), posted)
			})
		}
	}
}

func (o *office) direct(t *testing.T) *notify.Slack {
	s, err := notify.NewSlack(notify.SlackConfig{Token: slacktest.BotToken, Channel: "#ml", APIURL: o.URL, Store: o.store})
	require.NoError(t, err)
	return s
}

func TestABotThatMayNotReadTheChannelStillPosts(t *testing.T) {
	o := newOffice(t)
	o.Fail(func(method string, _ int) *slacktest.Failure {
		if strings.HasPrefix(method, "conversations.") {
			return &slacktest.Failure{Code: "missing_scope"}
		}
		return nil
	})
	m := of("k", "", "t")
	m.Since = time.Now()
	_, err := o.direct(t).Notify(t.Context(), m)
	require.NoError(t, err)
	require.Len(t, o.Messages(), 1)
}

func TestSlackIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	o := newOffice(t)
	w, ctx := o.worker(t), t.Context()
	o.Fail(func(string, int) *slacktest.Failure { return &slacktest.Failure{Status: 429, RetryAfter: 300} })
	_, err := w.Notify(ctx, of("a", "", "a"))
	require.NoError(t, err)
	o.Fail(nil)
	calls := o.Calls("chat.postMessage")
	for range 4 {
		o.pass(time.Minute)
		_, err := w.Notify(ctx, of(fmt.Sprint("b", o.now()), "", "b"))
		require.NoError(t, err)
		require.NoError(t, w.Deliver(ctx))
	}
	require.Equal(t, calls, o.Calls("chat.postMessage"))
	o.pass(2 * time.Minute)
	require.NoError(t, w.Deliver(ctx))
	require.Equal(t, []string{"a", "b", "b", "b", "b"}, o.said())
}

func TestWhatSlackRefusesHoldsUpNobody(t *testing.T) {
	o := newOffice(t)
	w, ctx := o.worker(t), t.Context()
	o.down()
	wrong := of("a", "", "a")
	wrong.Channel = "#nowhere"
	ref, err := w.Notify(ctx, wrong)
	require.NoError(t, err)
	_, err = w.Notify(ctx, of("b", "", "b"))
	require.NoError(t, err)
	o.Fail(nil)
	o.pass(time.Minute)
	require.NoError(t, w.Deliver(ctx))
	require.Equal(t, []string{"b"}, o.said())
	require.NoError(t, w.Update(ctx, ref, of("a2", "", "a2")), "there is nothing to change")
}

// Any failures, lost answers, restarts and two deliverers: each message is there once, as it should read at last, and a
// thread in its order.
func TestOutagesOfAnyShape(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		o := openOffice(slacktest.New(t))
		ctx := context.Background()
		workers := []*notify.Outbox{o.worker(r), o.worker(r)}
		want, refs := map[string]string{}, map[string]notify.Ref{}
		var order []string
		for step := range rapid.IntRange(1, 25).Draw(r, "steps") {
			o.Fail(nil)
			switch rapid.SampledFrom([]string{"up", "up", "down", "lost"}).Draw(r, "slack") {
			case "down":
				o.down()
			case "lost":
				o.Fail(func(method string, _ int) *slacktest.Failure {
					if strings.HasPrefix(method, "chat.") {
						return &slacktest.Failure{Lost: true}
					}
					return nil
				})
			}
			w := workers[rapid.IntRange(0, 1).Draw(r, "worker")]
			switch rapid.SampledFrom([]string{"new", "update", "deliver", "restart"}).Draw(r, "what") {
			case "new":
				key := fmt.Sprintf("run/7/%d", step)
				ref, err := w.Notify(ctx, of(key, "run/7", key))
				require.NoError(r, err)
				want[key], refs[key], order = key, ref, append(order, key)
			case "update":
				if len(order) > 0 {
					key := rapid.SampledFrom(order).Draw(r, "key")
					want[key] = fmt.Sprintf("%s changed at %d", key, step)
					require.NoError(r, w.Update(ctx, refs[key], of(key+"/changed", "run/7", want[key])))
				}
			case "deliver":
				_ = w.Deliver(ctx) // it may fail: Slack is what it is
			case "restart":
				workers = []*notify.Outbox{o.worker(r), o.worker(r)}
			}
			o.pass(time.Duration(rapid.IntRange(0, 90).Draw(r, "seconds")) * time.Second)
		}
		o.Fail(nil)
		for range 4 {
			o.pass(2 * time.Minute)
			for _, w := range workers {
				require.NoError(r, w.Deliver(ctx))
			}
		}
		var titles, wanted []string
		for _, m := range o.Messages() {
			titles = append(titles, strings.TrimPrefix(m.Text, ":information_source: "))
		}
		for _, key := range order {
			wanted = append(wanted, want[key])
		}
		require.Equal(r, wanted, titles)
	})
}
