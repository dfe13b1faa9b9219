package notify

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"
)

// Slack's limits, in characters. Its API refuses a message over one of them, so texts are cut to fit.
const (
	maxHeader  = 150
	maxSection = 3000
	maxField   = 2000
	maxFields  = 10 // in one section
	maxButton  = 75
	maxText    = 4000
)

// slackBlocks is the message as Block Kit: title, text, fields, links, buttons, and where it comes from.
func slackBlocks(m Message) []slack.Block {
	blocks := []slack.Block{slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, cut(icon(m.Severity)+" "+m.Title, maxHeader), true, false))}
	if m.Text != "" {
		blocks = append(blocks, slack.NewSectionBlock(markdown(cut(escape(m.Text), maxSection)), nil, nil))
	}
	for start := 0; start < len(m.Fields); start += maxFields {
		var fields []*slack.TextBlockObject
		for _, f := range m.Fields[start:min(start+maxFields, len(m.Fields))] {
			fields = append(fields, markdown(cut("*"+escape(f.Name)+"*\n"+escape(f.Value), maxField)))
		}
		blocks = append(blocks, slack.NewSectionBlock(nil, fields, nil))
	}
	if links := slackLinks(m.Links); links != "" {
		blocks = append(blocks, slack.NewSectionBlock(markdown(links), nil, nil))
	}
	if buttons := slackButtons(m.Actions); len(buttons) > 0 {
		blocks = append(blocks, slack.NewActionBlock("decision", buttons...))
	}
	from := "`" + escape(m.Model) + "`"
	if m.Lifecycle != "" {
		from += " · " + escape(m.Lifecycle)
	}
	return append(blocks, slack.NewContextBlock("", markdown(cut(from, maxField))))
}

func slackButtons(actions []Action) []slack.BlockElement {
	var buttons []slack.BlockElement
	for _, a := range actions {
		button := slack.NewButtonBlockElement("leanloop_"+a.Kind, a.Value,
			slack.NewTextBlockObject(slack.PlainTextType, cut(a.Text, maxButton), true, false))
		switch a.Kind {
		case ActionApprove:
			button = button.WithStyle(slack.StylePrimary)
		case ActionReject:
			button = button.WithStyle(slack.StyleDanger)
		}
		buttons = append(buttons, button)
	}
	return buttons
}

// slackLinks leaves out what isn't a web address: <javascript:...> and <!channel> would mean something to Slack.
func slackLinks(links []Link) string {
	var out []string
	for _, l := range links {
		u, err := url.Parse(l.URL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || strings.ContainsAny(l.URL, "<>|") {
			continue
		}
		out = append(out, fmt.Sprintf("<%s|%s>", escape(l.URL), strings.ReplaceAll(escape(l.Text), "|", "/")))
	}
	for len(out) > 0 && utf8.RuneCountInString(strings.Join(out, " · ")) > maxSection {
		out = out[:len(out)-1] // a link that is cut leads nowhere
	}
	return strings.Join(out, " · ")
}

// slackText is what notifications and screen readers show.
func slackText(m Message) string {
	text := icon(m.Severity) + " " + escape(m.Title)
	if m.Text != "" {
		text += "\n" + escape(m.Text)
	}
	return cut(text, maxText)
}

func icon(s Severity) string {
	switch s {
	case Success:
		return ":white_check_mark:"
	case Warning:
		return ":warning:"
	case Failure:
		return ":x:"
	}
	return ":information_source:"
}

func markdown(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, text, false, true)
}

// escape takes Slack's markup out of a text: the three characters that its documentation names, and the ones that
// make a text bold, struck or code, which get an invisible word joiner before them. So a column that is
// called *late* or a reason that says <!channel> is shown and does nothing.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;",
		"*", "\u2060*", "~", "\u2060~", "`", "\u2060`").Replace(text)
}

// cut shortens a text to a number of characters, without leaving half an entity.
func cut(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	short := string([]rune(text)[:limit-1])
	if i := strings.LastIndexByte(short, '&'); i >= 0 && !strings.Contains(short[i:], ";") {
		short = short[:i]
	}
	return short + "…"
}
