package slack_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/notify"
	"github.com/leanloop/leanloop/internal/notify/slack"
	"github.com/leanloop/leanloop/internal/notify/slacktest"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
)

func TestAClickApprovesAndTheMessageSaysSo(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *world) {
		w.deliver(w.click(ana, "leanloop_approve"))
		w.until("the message", func() bool { return strings.Contains(w.title(), "version 7: approved") })
		require.Empty(t, w.Messages()[0].Buttons())
		require.Equal(t, []string{"slack:" + ana}, w.run.outcome().Approvers())
		require.Equal(t, "slack", w.run.outcome().Approvals[0].Via)
		w.until("the inbox", func() bool { _, done := w.inbox(); return done == 1 })
		require.Empty(t, w.Whispers())
		require.Empty(t, w.refused())
	})
}

func TestARejectionAsksForItsReasonInAForm(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *world) {
		w.deliver(w.click(ben, "leanloop_reject"))
		w.until("the form", func() bool { return len(w.Views()) == 1 })
		form := w.Views()[0]
		require.Equal(t, "Reject version 7", form.Title)
		require.Equal(t, ben, form.User)
		arrived, _ := w.inbox()
		require.Zero(t, arrived, "a click on Reject decides nothing")

		empty, err := w.Submit(form, "leanloop_reason", "reason", "  \n ")
		require.NoError(t, err)
		var answer struct {
			Action string            `json:"response_action"`
			Errors map[string]string `json:"errors"`
		}
		require.NoError(t, json.Unmarshal(w.deliver(empty), &answer))
		require.Equal(t, "errors", answer.Action)
		require.Contains(t, answer.Errors, "leanloop_reason")
		require.True(t, w.run.outcome().IsOpen())

		filled, err := w.Submit(form, "leanloop_reason", "reason", "recall fell for <!channel>")
		require.NoError(t, err)
		w.deliver(filled)
		w.until("the message", func() bool { return strings.Contains(w.title(), "version 7: rejected") })
		require.Equal(t, "recall fell for <!channel>", w.run.outcome().Rejection.Reason)
		require.Equal(t, "slack:"+ben, w.run.outcome().Rejection.Actor)
	})
}

func TestDetailsShowWhatIsAskedAndRunNoneOfIt(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *world) {
		w.deliver(w.click(eve, "leanloop_details"))
		w.until("the view", func() bool { v := w.Views(); return len(v) == 1 && v[0].Updates == 1 })
		require.Contains(t, w.Views()[0].Text, "gate <!channel> f1: 0.74 >= 0.70") // of type plain_text: shown as it is
		require.True(t, w.run.outcome().IsOpen())
	})
}

func TestWhoMayNotDecideIsToldWhyAndItIsKept(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *world) {
		for i, c := range []struct{ user, why string }{{"U0MALLORY", "isn't an approver"}, {eve, "can't approve it alone"}} {
			w.deliver(w.click(c.user, "leanloop_approve"))
			w.until("the answer", func() bool { return len(w.Whispers()) == i+1 })
			require.Equal(t, c.user, w.Whispers()[i].User)
			require.Contains(t, w.Whispers()[i].Text, c.why)
			w.until("the inbox", func() bool { _, done := w.inbox(); return done == i+1 })
			require.Len(t, w.refused(), i+1)
			require.Equal(t, "slack", w.refused()[i].Via)
		}
		require.True(t, w.run.outcome().IsOpen())
		require.NotEmpty(t, w.Messages()[0].Buttons(), "the question is still open")
	})
}

func TestOfTwoClicksAtOnceOneStands(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *world) {
		first, second := w.click(ana, "leanloop_approve"), w.click(ben, "leanloop_approve")
		answers := make(chan slacktest.Answer, 2)
		for _, p := range [][]byte{first, second} {
			go func() { answers <- w.Deliver(p) }()
		}
		for range 2 {
			require.NoError(t, (<-answers).Err)
		}
		w.until("both", func() bool { _, done := w.inbox(); return done == 2 })
		require.Len(t, w.run.outcome().Approvals, 1)
		require.Len(t, w.Whispers(), 1)
		require.Contains(t, w.Whispers()[0].Text, "already approved by")
		require.Len(t, w.refused(), 1)
	})
}

func TestAReplayedClickCountsOnce(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *world) {
		w.run.set(func(r *run) { r.request.Policy.Quorum = 2 })
		p := w.click(ana, "leanloop_approve")
		for range 4 {
			w.deliver(p)
		}
		w.until("the inbox", func() bool { arrived, done := w.inbox(); return arrived == 1 && done == 1 })
		require.Len(t, w.run.outcome().Approvals, 1)
		require.True(t, w.run.outcome().IsOpen(), "one person's click, delivered four times, is one voice of two")
		w.until("the thread", func() bool { return len(w.Messages()) == 2 })
		require.Equal(t, w.ref.ID, w.Messages()[1].Thread)
		w.deliver(w.click(ana, "leanloop_approve")) // a double click is another click of the same person
		w.until("the answer", func() bool { return len(w.Whispers()) == 1 })
		require.Contains(t, w.Whispers()[0].Text, "has approved already")
		w.deliver(w.click(ben, "leanloop_approve"))
		w.until("the message", func() bool { return strings.Contains(w.title(), "approved") })
	})
}

func TestAClickThatCameTooLateOrOnOtherEvidenceDoesntCount(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *world) {
		w.run.set(func(r *run) { r.request.Evidence = strings.Repeat("0", 64) })
		w.deliver(w.click(ana, "leanloop_approve"))
		w.until("the answer", func() bool { return len(w.Whispers()) == 1 })
		require.Contains(t, w.Whispers()[0].Text, "the decision is about evidence 5f2a5f2a5f2a")
		w.run.set(func(r *run) {
			r.request.Evidence, r.now = evidence, func() time.Time { return time.Now().Add(2 * time.Hour) }
		})
		w.deliver(w.click(ben, "leanloop_approve"))
		w.until("the answer", func() bool { return len(w.Whispers()) == 2 })
		require.Contains(t, w.Whispers()[1].Text, "the deadline was")
		require.Empty(t, w.run.outcome().Approvals)
		w.until("the audit", func() bool { return len(w.refused()) == 2 })
	})
}

func TestAClickIsAcknowledgedWhileTheRunIsSilentAndDecidedLater(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *world) {
		w.run.set(func(r *run) { r.away = errAway })
		w.deliver(w.click(ana, "leanloop_approve"))
		w.until("the answer", func() bool { return len(w.Whispers()) == 1 })
		require.Contains(t, w.Whispers()[0].Text, "is stored")
		w.until("more attempts", func() bool { w.run.mu.Lock(); defer w.run.mu.Unlock(); return w.run.asked > 2 })
		require.Len(t, w.Whispers(), 1, "a sweep doesn't repeat it")
		w.run.set(func(r *run) { r.away = nil })
		w.until("the message", func() bool { return strings.Contains(w.title(), "version 7: approved") })
	})
}

func TestAnAppThatEndedBetweenClickAndDecisionLosesNothingAndDecidesOnce(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *world) {
		w.run.set(func(r *run) { r.away = errAway; r.request.Policy.Quorum = 2 })
		w.deliver(w.click(ana, "leanloop_approve"))
		w.until("an attempt", func() bool { w.run.mu.Lock(); defer w.run.mu.Unlock(); return w.run.asked > 0 })
		w.stop()
		arrived, done := w.inbox()
		require.Equal(t, [2]int{1, 0}, [2]int{arrived, done})
		w.run.set(func(r *run) { r.away = nil })
		w.start()
		w.until("the decision", func() bool { _, done := w.inbox(); return done == 1 })
		require.Len(t, w.run.outcome().Approvals, 1)
		w.stop()
		asked := w.run.asked
		w.start()
		w.stop()
		require.Equal(t, asked, w.run.asked, "what is done isn't asked for again")
	})
}

func TestWhatCantBeStoredIsntAcknowledged(t *testing.T) {
	w := newWorld(t, "http")
	app, err := slack.New(slack.Config{BotToken: slacktest.BotToken, SigningSecret: slacktest.SigningSecret, Team: slacktest.Team, APIURL: w.URL, Now: time.Now,
		Log: discard()}, objectstore.NewFaulty(w.store, func(op, _ string) objectstore.Fault {
		if op == "create" {
			return objectstore.FailBefore
		}
		return objectstore.NoFault
	}), w.run)
	require.NoError(t, err)
	require.Equal(t, 503, post(app, slacktest.Signed("http://app/", w.click(ana, "leanloop_approve"), time.Now())))
	require.True(t, w.run.outcome().IsOpen())
}

func TestASocketThatSlackEndsIsOpenedAgain(t *testing.T) {
	w := newWorld(t, "socket")
	for range 3 {
		before := w.Calls("apps.connections.open")
		w.Disconnect("refresh_requested")
		w.until("another socket", func() bool { return w.Calls("apps.connections.open") > before && w.Connected() == 1 })
	}
	w.deliver(w.click(ana, "leanloop_approve"))
	w.until("the message", func() bool { return strings.Contains(w.title(), "approved") })
}

func TestTheOrderOfDeliveryDoesntMatterToWhoMayDecide(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *world) {
		w.deliver(w.click(ben, "leanloop_reject"))
		w.until("the form", func() bool { return len(w.Views()) == 1 })
		late, err := w.Submit(w.Views()[0], "leanloop_reason", "reason", "no")
		require.NoError(t, err)
		w.deliver(w.click(ana, "leanloop_approve")) // arrives between the form's opening and its submission
		w.until("the message", func() bool { return strings.Contains(w.title(), "approved") })
		w.deliver(late)
		w.until("the answer", func() bool { return len(w.Whispers()) == 1 })
		require.Equal(t, approval.Approved, w.run.outcome().Outcome)
		require.Equal(t, "no", w.refused()[0].Given)
	})
}

func TestSecretsAreNeverLogged(t *testing.T) {
	w := newWorld(t, "socket")
	w.Fail(func(method string, _ int) *slacktest.Failure {
		if method == "chat.postEphemeral" || method == "views.open" {
			return &slacktest.Failure{Status: 500}
		}
		return nil
	})
	w.deliver(w.click("U0MALLORY", "leanloop_approve"))
	w.deliver(w.click(ana, "leanloop_reject"))
	w.until("both complaints", func() bool { return strings.Count(w.log.String(), "level=WARN") >= 3 })
	for _, secret := range []string{slacktest.BotToken, slacktest.AppToken, slacktest.SigningSecret} {
		require.NotContains(t, w.log.String(), secret)
	}
}

func TestAnEmptyListOfApproversLetsNobodyApprove(t *testing.T) {
	w := newWorld(t, "http")
	w.run.set(func(r *run) { r.request.Policy = spec.Approval{} })
	w.deliver(w.click(ana, "leanloop_approve"))
	w.until("the answer", func() bool { return len(w.Whispers()) == 1 })
	require.Contains(t, w.Whispers()[0].Text, "nobody may decide")
}

func TestConfigurationIsChecked(t *testing.T) {
	good := slack.Config{BotToken: "xoxb-1", AppToken: "xapp-1", Team: "T1", Now: time.Now, Log: discard()}
	for says, change := range map[string]func(*slack.Config){
		"bot token":       func(c *slack.Config) { c.BotToken = "xoxp-1" },
		"app-level token": func(c *slack.Config) { c.AppToken = "" },
		"begins with xap": func(c *slack.Config) { c.AppToken = "xoxb-1" },
		"workspace's id":  func(c *slack.Config) { c.Team = "" },
	} {
		c := good
		change(&c)
		_, err := slack.New(c, objectstore.NewMemory(), &run{})
		require.ErrorContains(t, err, says)
	}
	_, err := slack.New(good, objectstore.NewMemory(), &run{})
	require.NoError(t, err)
}

func TestAQuestionIsReadBackAsItWasWritten(t *testing.T) {
	q := notify.Question{Lifecycle: lifecycle, Evidence: evidence, Version: 7}
	back, err := notify.ParseQuestion(q.String())
	require.NoError(t, err)
	require.Equal(t, q, back)
	require.Equal(t, model, back.Model())
	require.Equal(t, 7, back.Run())
}
