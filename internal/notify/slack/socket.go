package slack

import (
	"context"
	"sync"
	"time"

	api "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

// socketRetry is the pause after Slack refused the app-level token, or the client gave up for another reason.
const socketRetry = 30 * time.Second

// maxMessage bounds one message of the socket in bytes.
const maxMessage = 4 << 20

// socket listens by Socket Mode until ctx ends. The client connects again by itself, as Slack asks it to now and then.
func (a *App) socket(ctx context.Context) {
	for ctx.Err() == nil {
		client := socketmode.New(a.api, socketmode.OptionReadLimit(maxMessage))
		var handling sync.WaitGroup
		attempt, over := context.WithCancel(ctx)
		handling.Go(func() { a.events(attempt, client) })
		err := client.RunContext(attempt)
		over()
		handling.Wait()
		if ctx.Err() != nil {
			return
		}
		a.c.Log.Error("slack socket", "error", a.redact(err), "again in", socketRetry)
		select {
		case <-ctx.Done():
		case <-time.After(socketRetry):
		}
	}
}

// events takes what the client receives; its channel isn't closed at its end.
func (a *App) events(ctx context.Context, client *socketmode.Client) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-client.Events:
			switch e.Type {
			case socketmode.EventTypeInteractive:
				a.after(func() { a.envelope(client, e.Request) })
			case socketmode.EventTypeConnected:
				a.c.Log.Info("slack socket connected")
			case socketmode.EventTypeConnectionError:
				if failed, ok := e.Data.(*api.ConnectionErrorEvent); ok {
					a.c.Log.Warn("slack socket: no connection", "error", a.redact(failed.ErrorObj), "again in", failed.Backoff)
				}
			case socketmode.EventTypeErrorBadMessage, socketmode.EventTypeErrorWriteFailed:
				a.c.Log.Warn("slack socket", "event", string(e.Type))
			case socketmode.EventTypeEventsAPI, socketmode.EventTypeSlashCommand:
				a.acknowledge(client, e.Request, nil) // the manifest asks for none, so they mean nothing
			}
		}
	}
}

// envelope takes one interaction. One that isn't stored isn't acknowledged: Slack shows the person that it failed.
func (a *App) envelope(client *socketmode.Client, request *socketmode.Request) {
	answer, next, err := a.accept(a.stop, request.Payload)
	if err != nil {
		a.c.Log.Warn("slack interaction refused", "envelope", request.EnvelopeID, "error", a.redact(err))
		return
	}
	a.acknowledge(client, request, answer)
	next()
}

func (a *App) acknowledge(client *socketmode.Client, request *socketmode.Request, answer any) {
	ctx, cancel := context.WithTimeout(a.stop, storeWithin)
	defer cancel()
	if err := client.AckCtx(ctx, request.EnvelopeID, answer); err != nil {
		a.c.Log.Warn("slack envelope not acknowledged: it comes again", "envelope", request.EnvelopeID, "error", a.redact(err))
	}
}
