package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/drift"
)

// A monitor's current details are Markdown, as those of other workflows.

func renderDrift(o activities.DriftOutput) string {
	var b strings.Builder
	if o.Inconclusive != "" {
		fmt.Fprintf(&b, "### inconclusive\n\n%s\n", escape(o.Inconclusive))
		return b.String()
	}
	fmt.Fprintf(&b, "### %d feature(s) drifted, largest PSI %.3f\n\n%d rows since %s against version %d. %s\n\n",
		len(o.Drifted), o.MaxPSI, o.Rows, o.From.UTC().Format(time.DateTime), o.Champion, escape(o.Reason))
	if o.Page != "" {
		fmt.Fprintf(&b, "Report: `%s`\n\n", escape(o.Page))
	}
	if o.Alert {
		fmt.Fprintf(&b, "What to do now: %s\n\n", escape(activities.DriftAdvice(o.Model)))
	}
	b.WriteString("| column | method | statistic | PSI | |\n| --- | --- | ---: | ---: | --- |\n")
	for i, c := range slices.Concat(o.Top, o.Extra) {
		marks := driftMarks(c)
		if i >= len(o.Top) {
			marks = append(marks, "not counted")
		}
		fmt.Fprintf(&b, "| %s | %s | %.4f | %.4f | %s |\n", escape(c.Name), c.Method, c.Statistic, c.PSI, escape(strings.Join(marks, ", ")))
	}
	for _, n := range o.Notes {
		fmt.Fprintf(&b, "\n- %s\n", escape(n))
	}
	return b.String()
}

// driftMarks are what is to be said of a column.
func driftMarks(c drift.ColumnResult) []string {
	var out []string
	switch {
	case c.StatisticByChance:
		out = append(out, "by chance")
	case c.Drifted:
		out = append(out, "drifted")
	}
	if c.Missing.Drifted {
		out = append(out, fmt.Sprintf("missing %.1f %%, was %.1f %%", 100*c.MissingCurrent, 100*c.MissingReference))
	}
	if c.Problem != "" {
		out = append(out, c.Problem)
	}
	return out
}

func renderQuality(o activities.QualityOutput) string {
	var b strings.Builder
	if o.Inconclusive != "" {
		fmt.Fprintf(&b, "### inconclusive\n\n%s\n", escape(o.Inconclusive))
	} else {
		fmt.Fprintf(&b, "### %s %.4f, limit %.4f\n\n95 %% interval %.4f to %.4f. %d of %d predictions labelled; version %d had %.4f on its test rows. %s%s\n",
			o.Metric, o.Observed, o.Limit, o.Lower, o.Upper, o.Labelled, o.Predictions, o.Champion, o.Baseline, escape(o.Reason), escape(o.Note))
	}
	if o.Logged > 0 {
		fmt.Fprintf(&b, "\nThese are a sample of the window's %d predictions, by their ids.\n", o.Logged)
	}
	switch e := o.Estimated; {
	case e != nil:
		fmt.Fprintf(&b, "\nEstimated without labels: %s %.4f (95 %% interval %.4f to %.4f) from %d predictions. It is right if the champion's probabilities still hold; a change in what the inputs mean it can't see.\n",
			o.Metric, e.Value, e.Lower, e.Upper, e.Rows)
	case o.NoEstimate != "":
		fmt.Fprintf(&b, "\nNot estimated: %s.\n", escape(o.NoEstimate))
	}
	if o.Alert {
		fmt.Fprintf(&b, "\nWhat to do now: %s\n", escape(activities.QualityAdvice(o.Model)))
	}
	return b.String()
}
