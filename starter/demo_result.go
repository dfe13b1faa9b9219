package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/leanloop/leanloop/activities"
)

// demoResult is what the demo came to: the one object that -o json prints.
type demoResult struct {
	Model      string          `json:"model"`
	Stack      demoStack       `json:"stack"`
	Chapters   []demoChapter   `json:"chapters"`
	Lifecycles []demoLifecycle `json:"lifecycles"`
	Champion   int             `json:"champion"`
	Drift      []demoDrift     `json:"drift"`
	Ledger     demoLedger      `json:"ledger"`
	Kills      int             `json:"worker_kills"`
	Served     int64           `json:"predictions_served"`
	Failed     int64           `json:"predictions_failed"`
	Seconds    float64         `json:"seconds"`
}

type demoStack struct {
	TemporalUI string `json:"temporal_ui"`
	Gateway    string `json:"gateway"`
}

type demoChapter struct {
	Number    int     `json:"number"`
	Title     string  `json:"title"`
	Lifecycle string  `json:"lifecycle"`
	Outcome   string  `json:"outcome"`
	Seconds   float64 `json:"seconds"`
}

type demoLifecycle struct {
	ID      string                   `json:"id"`
	Trigger string                   `json:"trigger"`
	Dataset string                   `json:"dataset_sha256"` // the snapshot's digest, or the file's where none was taken
	Rows    int                      `json:"rows"`
	Outcome string                   `json:"outcome"`
	Reason  string                   `json:"reason"`
	Version int                      `json:"version,omitempty"`
	Stages  []activities.StageResult `json:"stages"`
}

type demoDrift struct {
	Window  string   `json:"window"` // its end
	Drifted []string `json:"drifted_features"`
	MaxPSI  float64  `json:"max_psi"`
}

type demoLedger struct {
	Entries  int64 `json:"entries"`
	Verified bool  `json:"verified"`
}

func lifecycleOf(r activities.LifecycleResult) demoLifecycle {
	l := demoLifecycle{
		ID: r.ID, Trigger: r.Trigger, Dataset: r.Snapshot, Rows: r.Rows, Outcome: r.Outcome, Reason: r.Reason, Version: r.Version, Stages: r.Stages,
	}
	for _, files := range [][]string{r.Files, r.Refused} {
		if l.Dataset == "" && len(files) > 0 {
			l.Dataset = files[0]
		}
	}
	return l
}

// table is the end of the story for people.
func (r *demoResult) table(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Chapters) > 0 {
		_, _ = fmt.Fprintln(t, "CHAPTER\tRUN\tOUTCOME\tSECONDS")
	}
	for _, c := range r.Chapters {
		_, _ = fmt.Fprintf(t, "%d  %s\t%s\t%s\t%.1f\n", c.Number, c.Title, c.Lifecycle, c.Outcome, c.Seconds)
	}
	_ = t.Flush()
	verified := "verified: every entry chains to the one before, every artifact has its digest"
	if !r.Ledger.Verified {
		verified = "NOT verified"
	}
	champion := "none"
	if r.Champion > 0 {
		champion = fmt.Sprintf("version %d", r.Champion)
	}
	_, _ = fmt.Fprintf(w, "\nChampion: %s. Ledger: %d entries, %s.\n", champion, r.Ledger.Entries, verified)
	_, _ = fmt.Fprintf(w, "Predictions served: %d, failed: %d. Worker killed: %d time(s). Took %.0f s.\n", r.Served, r.Failed, r.Kills, r.Seconds)
}
