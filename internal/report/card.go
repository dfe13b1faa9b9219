// Package report writes what people read: a version's model card, and pages about a checked file, the drift of a window
// and the profile of a data set, each one HTML file that loads nothing and runs nothing.
//
// It is pure: the same input gives the same bytes, since a card is part of an immutable artifact and a page is found
// again under its name. What it is given comes from files that others made: it never becomes markup.
package report

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

// CardInput is what a card says about a version.
type CardInput struct {
	Spec       *spec.Model
	SpecDigest string
	Lifecycle  string
	Snapshot   string
	Files      int
	Rows       int
	From, To   time.Time

	Train, Validation, Test int
	Dropped                 string // what was left out, in words

	JudgedRows int // that Metrics are of
	Metrics    evaluation.Values
	Champion   int // 0: none
	Previous   evaluation.Values
	Comparison *evaluation.Comparison
	Disparity  *evaluation.DisparityResult
	Verdict    evaluation.Verdict

	Imported *registry.Imported // nil: it was trained here

	TrainedIn string // an earlier run, whose training it is; "": in Lifecycle

	Trial  int            // of the search that chose Params; 0: none
	Params map[string]any // beside the spec's
}

// Card is a model card in Markdown: what it is for, what it was made from, how good it is and for whom.
func Card(in CardInput) []byte {
	var b bytes.Buffer
	m := in.Spec
	fmt.Fprintf(&b, "# %s\n\nPredicts `%s` (%s). Owner: %s. Team: %s. Made by `%s` from spec `%.12s`.\n\n",
		m.Metadata.Name, m.Data.Target, m.Task, orNone(line(m.Metadata.Owner)), orNone(line(m.Metadata.Team)), in.Lifecycle, in.SpecDigest)
	fmt.Fprintf(&b, "## Data\n\nSnapshot `%.12s`: %d rows in %d file(s)", in.Snapshot, in.Rows, in.Files)
	if !in.From.IsZero() {
		fmt.Fprintf(&b, ", events from %s to %s", in.From.UTC().Format(time.DateOnly), in.To.UTC().Format(time.DateOnly))
	}
	if in.Imported != nil {
		fmt.Fprintf(&b, ". It was judged on %d of them; %s.\n\nImported by %s from files with digest `%.12s`: it was trained elsewhere, %s.\n\n",
			in.JudgedRows, in.Dropped, line(in.Imported.By), in.Imported.Digest, trainedOn(in.Imported))
		fmt.Fprintf(&b, "## Quality\n\nOn %d rows.\n\n| metric | this version | champion |\n| --- | ---: | ---: |\n", in.JudgedRows)
		return append(b.Bytes(), quality(in)...)
	}
	fmt.Fprintf(&b, ". %d rows trained it, %d validated, %d were held out; %s.\n\n", in.Train, in.Validation, in.Test, in.Dropped)
	if len(m.Train.Command) > 0 {
		fmt.Fprintf(&b, "Trained by `%s`.\n\n", line(strings.Join(m.Train.Command, " ")))
	} else {
		fmt.Fprintf(&b, "Trained by the built-in %s trainer.\n\n", m.Train.Builtin)
	}
	if in.TrainedIn != "" {
		fmt.Fprintf(&b, "The training is that of `%s`, which had the same inputs.\n\n", line(in.TrainedIn))
	}
	if in.Trial > 0 {
		fmt.Fprintf(&b, "Hyperparameters of trial %d of its search, the best on validation rows: %s.\n\n", in.Trial, line(paramsText(in.Params)))
	}
	fmt.Fprintf(&b, "## Quality\n\nOn %d held-out rows.\n\n| metric | this version | champion |\n| --- | ---: | ---: |\n", in.JudgedRows)
	return append(b.Bytes(), quality(in)...)
}

// trainedOn is what is known of an imported version's training rows.
func trainedOn(i *registry.Imported) string {
	if i.TrainedUntil.IsZero() {
		return "on rows that nobody has named"
	}
	return "on events up to " + i.TrainedUntil.UTC().Format(time.RFC3339) + ", as they say"
}

// quality is the metrics' rows, and what the gates say.
func quality(in CardInput) []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(in.Metrics)) {
		previous := ""
		if v, ok := in.Previous[name]; ok {
			previous = fmt.Sprintf("%.4f", v)
		}
		fmt.Fprintf(&b, "| %s | %.4f | %s |\n", name, in.Metrics[name], previous)
	}
	if c := in.Comparison; c != nil {
		fmt.Fprintf(&b, "\nAgainst version %d on the same %d rows: %s differs by %+.4f, lower %.0f %% bound %+.4f.\n",
			in.Champion, c.Rows, c.Metric, c.Difference, 100*c.Confidence, c.Lower)
	}
	if d := in.Disparity; d != nil {
		fmt.Fprintf(&b, "\n%s differs by %.4f between groups (worst %s, best %s; %d groups judged, %d too small).\n",
			d.Metric, d.Value, line(d.Worst.Name), line(d.Best.Name), d.Judged, d.Small)
	}
	fmt.Fprintf(&b, "\n## Gates\n\n%s\n\n", in.Verdict.Outcome)
	for _, r := range in.Verdict.Reasons {
		fmt.Fprintf(&b, "- %s: %s\n", r.Outcome, line(r.Message))
	}
	return b.Bytes()
}

func orNone(s string) string {
	if s == "" {
		return "none named"
	}
	return s
}

// line keeps what people and files wrote to the line that it stands on, and out of the Markdown around it.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '`':
			return '\''
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, s)
}
