package report

import (
	"io"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
)

// ProfilePage is what a page about a file's columns shows.
type ProfilePage struct {
	Title   string // of the data set; may be ""
	Subject string // the file
	At      time.Time
	Info    dataset.Info // zero fields aren't shown
	Profile *profile.Profile
}

// profileView is the page as its template takes it.
type profileView struct {
	shell
	Columns columnsView
}

// Profile writes the page about a file's columns: one self-contained HTML document. The same page gives the same bytes.
func Profile(w io.Writer, p ProfilePage) error {
	style, err := style()
	if err != nil {
		return err
	}
	v := profileView{shell: newShell("Data profile", p.Title, p.Subject, p.At, style), Columns: columnsOf(p.Profile)}
	v.Verdict, v.Facts = profileVerdict(p.Profile), factsOf(p.Subject, p.Info, p.Profile)
	return render(w, "profile.html", v)
}

// profileVerdict sums up a profile: what it is of, and what is worth a look.
func profileVerdict(p *profile.Profile) verdict {
	if p == nil || len(p.Columns) == 0 {
		return verdict{State: unknown, Head: "There is nothing to profile", Say: []words{{Text: "The file has no columns that could be read."}}}
	}
	v := verdict{State: good, Head: counted(p.Rows, "row") + " in " + counted(int64(len(p.Columns)), "column")}
	var empty, constant, gaps []string
	for i := range p.Columns {
		c := &p.Columns[i]
		if c.Count == 0 {
			empty = append(empty, c.Name)
			continue
		}
		if c.Distinct == 1 && c.Count > 1 {
			constant = append(constant, c.Name)
		}
		if 5*c.Nulls > p.Rows {
			gaps = append(gaps, c.Name)
		}
	}
	for _, found := range []struct {
		names []string
		what  string
	}{{empty, "Without any value: "}, {constant, "Never another value: "}, {gaps, "Missing in more than a fifth of the rows: "}} {
		if len(found.names) > 0 {
			v.State = warn
			v.Say = append(v.Say, words{Text: found.what + several(found.names, 5) + "."})
		}
	}
	if v.State == good {
		v.Say = append(v.Say, words{Text: "No column is empty, or has one value only, or is missing in more than a fifth of the rows."})
	}
	return v
}

// factsOf says which file a page is about.
func factsOf(subject string, info dataset.Info, p *profile.Profile) []fact {
	var out []fact
	if subject != "" {
		out = append(out, fact{Name: "File", Value: name(subject)})
	}
	rows := int64(info.Rows)
	if p != nil {
		rows = max(rows, p.Rows)
	}
	out = append(out, fact{Name: "Rows", Value: words{Text: count(rows)}})
	if p != nil {
		out = append(out, fact{Name: "Columns", Value: words{Text: count(int64(len(p.Columns)))}})
	}
	if info.Bytes > 0 {
		out = append(out, fact{Name: "Size, as stored", Value: size(info.Bytes)})
	}
	if info.SHA256 != "" {
		out = append(out, fact{Name: "SHA-256", Value: clipped(info.SHA256, 16), Mono: true})
	}
	return out
}
