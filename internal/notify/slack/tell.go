package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	api "github.com/slack-go/slack"

	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/notify"
)

// maxPlain is how many characters of a section Slack takes.
const maxPlain = 3000

// plain is a section that shows what it is given and runs none of it: no mention, no link, no bold.
func plain(text string) api.Block {
	return api.NewSectionBlock(api.NewTextBlockObject(api.PlainTextType, cut(text, maxPlain), false, false), nil, nil)
}

// cut shortens to a number of characters.
func cut(text string, limit int) string {
	if r := []rune(text); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	if text == "" {
		return "-" // Slack refuses an empty text
	}
	return text
}

// whisper tells the one who clicked, and nobody else. That it fails changes nothing.
func (a *App) whisper(ctx context.Context, i Interaction, text string) {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	_, err := a.api.PostEphemeralContext(ctx, i.Channel, i.User, api.MsgOptionText(text, true), api.MsgOptionBlocks(plain(text)))
	if err != nil {
		a.c.Log.Warn("slack: who clicked wasn't answered", "user", i.User, "error", a.redact(err))
	}
}

// reply tells in the message's thread that a decision counted and more are needed. The message itself is written by the
// run alone, so that of two writers none puts back what the other took away.
func (a *App) reply(ctx context.Context, i Interaction, s approval.Status) {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	text := fmt.Sprintf("%s approved version %d. That makes %d; more are needed.", i.actor(), i.Question.Version, len(s.Approvals))
	if _, _, err := a.api.PostMessageContext(ctx, i.Channel, api.MsgOptionTS(i.Message), api.MsgOptionText(text, true), api.MsgOptionBlocks(plain(text))); err != nil {
		a.c.Log.Warn("slack: no reply in the thread", "error", a.redact(err))
	}
}

// openForm asks for the reason of a rejection, while the click's trigger lasts.
func (a *App) openForm(e event) {
	ctx, cancel := context.WithTimeout(a.stop, formWithin)
	defer cancel()
	metadata, err := json.Marshal(origin{Question: e.Question, Channel: e.Channel, Message: e.Message, At: e.At})
	if err == nil {
		input := api.NewPlainTextInputBlockElement(nil, inputReason)
		input.Multiline, input.MinLength, input.MaxLength = true, 1, 1000
		_, err = a.api.OpenViewContext(ctx, e.trigger, api.ModalViewRequest{
			Type: api.VTModal, CallbackID: formReject, PrivateMetadata: string(metadata),
			Title: text(fmt.Sprintf("Reject version %d", e.Question.Version), 24), Submit: text("Reject", 24), Close: text("Cancel", 24),
			Blocks: api.Blocks{BlockSet: []api.Block{
				plain(fmt.Sprintf("%s, evidence %.12s. The version is not promoted; the reason is kept in the ledger.", e.Question.Lifecycle, e.Question.Evidence)),
				api.NewInputBlock(blockReason, text("Reason", 2000), nil, input),
			}},
		})
	}
	if err != nil {
		a.c.Log.Warn("slack: no form for a rejection", "user", e.User, "error", a.redact(err))
		a.whisper(a.stop, e.Interaction, "The form didn't open in time. Nothing was decided: click Reject again.")
	}
}

// openDetails shows everything that a decision is about. The view opens while the trigger lasts and is filled when the
// run has answered.
func (a *App) openDetails(e event) {
	ctx, cancel := context.WithTimeout(a.stop, decideWithin)
	defer cancel()
	view := func(blocks ...api.Block) api.ModalViewRequest {
		return api.ModalViewRequest{
			Type: api.VTModal, CallbackID: "leanloop_details", Title: text(fmt.Sprintf("Version %d", e.Question.Version), 24), Close: text("Close", 24),
			Blocks: api.Blocks{BlockSet: blocks},
		}
	}
	opening, stop := context.WithTimeout(ctx, formWithin)
	opened, err := a.api.OpenViewContext(opening, e.trigger, view(plain("Asking "+e.Question.Lifecycle+" ...")))
	stop()
	if err == nil {
		_, err = a.api.UpdateViewContext(ctx, view(a.detailBlocks(ctx, e.Question)...), "", "", opened.View.ID)
	}
	if err != nil {
		a.c.Log.Warn("slack: no details", "user", e.User, "error", a.redact(err))
	}
}

func (a *App) detailBlocks(ctx context.Context, q notify.Question) []api.Block {
	m, err := a.desk.Details(ctx, q.Lifecycle)
	if err != nil {
		return []api.Block{plain(err.Error())}
	}
	blocks := []api.Block{plain(m.Title)}
	for _, part := range chunks(m.Text, maxPlain) {
		blocks = append(blocks, plain(part))
	}
	for _, f := range m.Fields {
		blocks = append(blocks, plain(f.Name+": "+f.Value))
	}
	return blocks[:min(len(blocks), 100)] // Slack's limit for a view
}

// chunks cuts a text at line ends into parts of at most limit characters; a longer line is cut short by plain.
func chunks(text string, limit int) []string {
	var parts []string
	part := ""
	for line := range strings.Lines(text) {
		if part != "" && len([]rune(part))+len([]rune(line)) > limit {
			parts, part = append(parts, part), ""
		}
		part += line
	}
	if strings.TrimSpace(part) != "" {
		parts = append(parts, part)
	}
	return parts
}

// text is a label, cut to Slack's limit for its place.
func text(s string, limit int) *api.TextBlockObject {
	return api.NewTextBlockObject(api.PlainTextType, cut(s, limit), false, false)
}
