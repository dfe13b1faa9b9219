package report

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"time"
)

// Bounds of what a page holds, whatever the data: the rest is counted in words.
const (
	maxDrawn    = 60   // columns with a drawing of their own
	maxListed   = 1000 // rows of a table
	maxHistory  = 60   // windows in the strip
	maxBars     = 8    // categories drawn for a column; the rest is "other"
	maxRowNames = 10   // offending rows named
)

//go:embed pages
var pages embed.FS

// The states of a verdict or a row: each has a colour, a shape and a word.
const (
	bad     = "bad"
	warn    = "warn"
	good    = "good"
	unknown = "none"
)

// shell is what every page has.
type shell struct {
	Title   string // of the window
	Kicker  words  // what kind of page, of what
	At      string
	Policy  string
	Style   template.CSS
	Verdict verdict
	Facts   []fact
	Nav     []link
}

// verdict is the first thing said.
type verdict struct {
	State string
	Head  string
	Say   []words
	Next  []words // what to do now
}

// fact is a line about the subject.
type fact struct {
	Name  string
	Value words
	Sub   string
	Mono  bool
}

// link leads to a section of the page.
type link struct {
	ID, Text string
}

// chip is a state in a word.
type chip struct {
	State, Text string
}

// newShell is the frame of a page about subject, as of at.
func newShell(kind, title, subject string, at time.Time, style []byte) shell {
	s := shell{Title: kind, At: instant(at), Style: template.CSS(style), Policy: policy(style)}
	kicker := kind
	for _, part := range []string{title, subject} {
		if part != "" {
			kicker += " · " + part
			s.Title += ": " + name(part).Text
		}
	}
	s.Kicker = clipped(kicker, longText)
	return s
}

// policy lets a page be drawn with its own style and do nothing else: no script, no network, no form, no frame.
func policy(style []byte) string {
	sum := sha256.Sum256(style)
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// style is the style sheet that all pages share.
func style() ([]byte, error) { return pages.ReadFile("pages/style.css") }

// render writes the named page. Nothing is written if it can't be made whole.
func render(w io.Writer, page string, data any) error {
	t, err := template.ParseFS(pages, "pages/shell.html", "pages/parts.html", "pages/"+page)
	if err != nil {
		return fmt.Errorf("report page %s: %w", page, err)
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, page, data); err != nil {
		return fmt.Errorf("report page %s: %w", page, err)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write report page %s: %w", page, err)
	}
	return nil
}
