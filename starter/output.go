package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Formats of results.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

// print writes a result: v as one document, or what asTable draws.
func (a *app) print(v any, asTable func(*page)) error {
	switch a.flags.format {
	case formatJSON, formatYAML:
		raw, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return fmt.Errorf("result as %s: %w", a.flags.format, err)
		}
		if a.flags.format == formatYAML {
			if raw, err = yamlOf(raw); err != nil {
				return fmt.Errorf("result as yaml: %w", err)
			}
		}
		_, err = fmt.Fprintln(a.out, strings.TrimRight(string(raw), "\n"))
		return err
	}
	p := a.page()
	asTable(p)
	_, err := io.WriteString(a.out, p.String())
	return err
}

// yamlOf writes a JSON document, which is YAML as well, in YAML's own style, its keys in the same order.
func yamlOf(doc []byte) ([]byte, error) {
	var node yaml.Node
	if err := yaml.Unmarshal(doc, &node); err != nil {
		return nil, err
	}
	plain(&node)
	return yaml.Marshal(&node)
}

// plain drops the flow style and the quotes that JSON needs; the encoder quotes what would read as something else.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plain(child)
	}
}

// page is an empty page for standard output.
func (a *app) page() *page { return &page{style: a.styleOf(a.out), now: a.now()} }

// styleOf says whether a stream gets colours: a terminal's, unless NO_COLOR is set.
func (a *app) styleOf(stream io.Writer) style {
	return style{color: a.terminal(stream) && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"}
}

// tone is what a piece of text means; colours follow from it.
type tone int

const (
	tonePlain tone = iota
	toneGood
	toneBad
	toneWarn
	toneDim
	toneBold
)

type style struct{ color bool }

func (s style) paint(t tone, text string) string {
	codes := map[tone]string{toneGood: "32", toneBad: "31", toneWarn: "33", toneDim: "2", toneBold: "1"}
	code, ok := codes[t]
	if !s.color || !ok || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// toneOf is the tone of a status, an outcome or a verdict.
func toneOf(status string) tone {
	switch status {
	case "promoted", "done", "pass", "champion", "approved", "verified", "yes", "create", "completed":
		return toneGood
	case "failed", "fail", "gate_failed", "validation_failed", "rejected", "rolled_back", "no", "delete", "terminated":
		return toneBad
	case "waiting", "inconclusive", "running", "timed_out", "cancelled", "superseded", "canary", "paused", "update":
		return toneWarn
	case "skipped", "unchanged", "retired", "keep", "":
		return toneDim
	}
	return tonePlain
}

// page is text for a person, built line by line.
type page struct {
	strings.Builder
	style style
	now   time.Time
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// heading is a bold line.
func (p *page) heading(format string, args ...any) {
	p.line("%s", p.style.paint(toneBold, fmt.Sprintf(format, args...)))
}

// ago is a time as people say it.
func (p *page) ago(t time.Time) string { return ago(p.now, t) }

func ago(now, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := now.Sub(t)
	if d.Abs() < time.Second {
		return "now"
	}
	if d < 0 {
		return "in " + span(-d)
	}
	return span(d) + " ago"
}

// span is a duration in its largest unit, or its two largest ones where the second says something.
func span(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", math.Floor(d.Seconds()*10)/10)
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// version is how tables name a version; 0 is none.
func version(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

// short is the beginning of a digest.
func short(digest string) string {
	if digest == "" {
		return "-"
	}
	return digest[:min(12, len(digest))]
}

// number is a metric as people read it.
func number(x float64) string {
	if math.IsNaN(x) {
		return "undefined"
	}
	return strconv.FormatFloat(x, 'g', 5, 64)
}

// percent is a share of one.
func percent(x float64) string { return strconv.FormatFloat(100*x, 'g', 4, 64) + "%" }

// oneLine is a text from outside that can do nothing to a terminal: no line breaks, no control characters.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, s)
}

// plainLines is oneLine for a text of several lines.
func plainLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = oneLine(line)
	}
	return strings.Join(lines, "\n")
}

// clip cuts a text to a width, on one line; width 0: as long as it is.
func clip(s string, width int) string {
	s = oneLine(s)
	if r := []rune(s); width > 1 && len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}
