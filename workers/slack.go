package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/notify"
	"github.com/leanloop/leanloop/internal/notify/slack"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/workflows"
)

// slackConfig is how Slack is reached, to post and to listen.
type slackConfig struct {
	Token   string // of the bot
	Channel string // for models whose spec names none
	App     string // app-level token: Socket Mode
	Secret  string // signing secret: HTTP
	Team    string
	API     string // "": Slack's own
	Buttons bool   // another worker listens: ask with buttons, too
}

// slackPath is where interactions come to by HTTP, on the address of --listen.
const slackPath = "/slack/interactions"

// asks says whether somebody takes the clicks of buttons.
func (c slackConfig) asks() bool { return c.App != "" || c.Secret != "" || c.Buttons }

// listens says what the role slack lacks.
func (c slackConfig) listens() error {
	switch {
	case c.Token == "":
		return errors.New("role slack: SLACK_BOT_TOKEN is empty")
	case c.App == "" && c.Secret == "":
		return errors.New("role slack: want SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP), see docs/slack.md")
	case c.Team == "":
		return errors.New("role slack: SLACK_TEAM_ID is empty: clicks of other workspaces can't be told apart")
	}
	return nil
}

// newSlackApp makes the listener of the role slack.
func newSlackApp(c slackConfig, store objectstore.Store, temporal client.Client, log *slog.Logger) (*slack.App, error) {
	return slack.New(slack.Config{
		BotToken: c.Token, AppToken: c.App, SigningSecret: c.Secret, Team: c.Team, APIURL: c.API, Now: time.Now, Log: log,
	}, store, &slackDesk{client: temporal})
}

// slackDesk is slack.Desk by the runs' updates and queries.
type slackDesk struct{ client client.Client }

// Decide implements slack.Desk. The decision's id is the update's, so that a repetition gets the first one's answer.
func (d *slackDesk) Decide(ctx context.Context, lifecycle string, in approval.Decision) (approval.Status, error) {
	handle, err := d.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: lifecycle, UpdateName: workflows.UpdateDecide, UpdateID: in.ID, Args: []any{in}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	var out approval.Status
	if err == nil {
		err = handle.Get(ctx, &out)
	}
	if err == nil {
		return out, nil
	}
	if _, ended := errors.AsType[*serviceerror.NotFound](err); ended {
		return d.ended(ctx, lifecycle, in)
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok && (app.Type() == workflows.ErrorRefused || app.Type() == workflows.ErrorInvalid) {
		return approval.Status{}, &slack.Refused{Why: app.Message()}
	}
	return approval.Status{}, fmt.Errorf("%s in %s: %w", in.Kind, lifecycle, err)
}

// ended answers for a run that takes no updates any more. It may have ended by this very decision.
func (d *slackDesk) ended(ctx context.Context, lifecycle string, in approval.Decision) (approval.Status, error) {
	s, err := d.state(ctx, lifecycle)
	if err != nil {
		return approval.Status{}, err
	}
	if s.Approval != nil {
		status := s.Approval.Status
		if status.Rejection != nil && status.Rejection.ID == in.ID {
			return status, nil
		}
		for _, a := range status.Approvals {
			if a.ID == in.ID {
				return status, nil
			}
		}
		if status.Rejection != nil {
			return approval.Status{}, &slack.Refused{Why: fmt.Sprintf("already rejected by %s: %s", status.Rejection.Actor, status.Rejection.Reason)}
		}
		if !status.IsOpen() && len(status.Approvals) > 0 {
			return approval.Status{}, &slack.Refused{Why: fmt.Sprintf("already %s by %s", status.Outcome, strings.Join(status.Approvers(), ", "))}
		}
	}
	return approval.Status{}, &slack.Refused{Why: fmt.Sprintf("the run has ended %s: %s", s.Outcome, s.Reason)}
}

// state asks a run, which may have ended, where it stands. One that was never there, or is forgotten, is *slack.Refused.
func (d *slackDesk) state(ctx context.Context, lifecycle string) (workflows.LifecycleState, error) {
	var s workflows.LifecycleState
	value, err := d.client.QueryWorkflow(ctx, lifecycle, "", workflows.QueryState)
	if err == nil {
		err = value.Get(&s)
	}
	if _, none := errors.AsType[*serviceerror.NotFound](err); none {
		return s, &slack.Refused{Why: "there is no such run"}
	}
	if err != nil {
		return s, fmt.Errorf("look at %s: %w", lifecycle, err)
	}
	return s, nil
}

// Details implements slack.Desk.
func (d *slackDesk) Details(ctx context.Context, lifecycle string) (notify.Message, error) {
	s, err := d.state(ctx, lifecycle)
	if err != nil {
		return notify.Message{}, err
	}
	if s.Approval == nil {
		return notify.Message{}, &slack.Refused{Why: "the run asks nothing: it is in stage " + s.Stage}
	}
	a := s.Approval
	return activities.ApprovalDetails(s.Model, lifecycle, a.Evidence, a.Summary, a.Request, a.Status), nil
}
