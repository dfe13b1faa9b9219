package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/search/space"
)

// SearchPage is what a page about a hyperparameter search shows.
type SearchPage struct {
	Title   string // of the model
	Subject string // the run
	At      time.Time
	Metric  string
	Goal    search.Goal
	Planned int             // trials, at most
	Space   *space.Compiled // nil: not known
	Trials  []SearchTrial
	Stopped string // why it ended early; ""
}

// SearchTrial is one trial of a SearchPage.
type SearchTrial struct {
	search.Trial
	Reason  string
	Seconds float64
	Cost    float64
}

// searchView is the page as its template takes it.
type searchView struct {
	shell
	Metric     words
	History    *searchHistory
	Parallel   *parallelAxes
	Importance []importanceRow
	Rows       []searchRow
	More       string
}

type importanceRow struct {
	Name  words
	Share string
	Width string // of the bar, of 100
}

type searchRow struct {
	Number  int
	State   chip
	Value   words
	Params  words
	Step    string
	Seconds string
	Cost    string
	Reason  words
}

// Search writes the page about a hyperparameter search: one self-contained HTML document. The same page gives the same
// bytes.
func Search(w io.Writer, p SearchPage) error {
	style, err := style()
	if err != nil {
		return err
	}
	sorted := SortTrials(p.Trials, p.Goal)
	v := searchView{
		shell: newShell("Hyperparameter search", p.Title, p.Subject, p.At, style), Metric: name(p.Metric),
		History: historyOf(p), Parallel: parallelOf(p, sorted), Importance: importanceOf(p),
	}
	v.Verdict, v.Facts = searchVerdict(p)
	for _, t := range sorted[:min(len(sorted), maxListed)] {
		v.Rows = append(v.Rows, trialRow(t))
	}
	if more := len(sorted) - len(v.Rows); more > 0 {
		v.More = "Not listed: " + counted(int64(more), "more trial") + "."
	}
	return render(w, "search.html", v)
}

// SortTrials puts trials into the order in which people read them: complete ones, the best first, then those that run,
// pruned ones and failed ones by number.
func SortTrials(trials []SearchTrial, goal search.Goal) []SearchTrial {
	order := map[search.State]int{search.Complete: 0, search.Running: 1, search.Pruned: 2, search.Failed: 3}
	out := slices.Clone(trials)
	slices.SortStableFunc(out, func(a, b SearchTrial) int {
		switch {
		case a.State != b.State:
			return order[a.State] - order[b.State]
		case a.State != search.Complete || a.Value == b.Value:
			return a.Number - b.Number
		case (a.Value < b.Value) == (goal != search.Maximize):
			return -1
		}
		return 1
	})
	return out
}

func plainTrials(trials []SearchTrial) []search.Trial {
	out := make([]search.Trial, len(trials))
	for i, t := range trials {
		out[i] = t.Trial
	}
	return out
}

// searchVerdict sums up a search.
func searchVerdict(p SearchPage) (verdict, []fact) {
	counts := map[search.State]int{}
	seconds, cost := 0.0, 0.0
	for _, t := range p.Trials {
		counts[t.State]++
		seconds, cost = seconds+t.Seconds, cost+t.Cost
	}
	v := verdict{State: unknown, Head: "No trial has a value"}
	if best, ok := p.Goal.Best(plainTrials(p.Trials)); ok {
		v.State, v.Head = good, fmt.Sprintf("Trial %d is the best: %s %s", best.Number, visible(p.Metric, longName), number(best.Value).Text)
		v.Say = append(v.Say, clipped(paramsText(best.Params), longText))
	}
	if n := counts[search.Running]; n > 0 {
		v.State = unknown
		v.Say = append(v.Say, words{Text: counted(int64(n), "trial") + " not ended yet."})
	}
	if n := counts[search.Failed]; n > 0 {
		v.State = warn
		v.Say = append(v.Say, words{Text: counted(int64(n), "trial") + " failed: the table below says why."})
	}
	if p.Stopped != "" {
		v.Say = append(v.Say, clipped("It ended early: "+p.Stopped, longText))
	}
	facts := []fact{
		{Name: "Trials", Value: words{Text: fmt.Sprintf("%d of %d", len(p.Trials)-counts[search.Running], p.Planned)},
			Sub: fmt.Sprintf("%d complete, %d pruned, %d failed", counts[search.Complete], counts[search.Pruned], counts[search.Failed])},
		{Name: "Metric", Value: name(p.Metric), Sub: string(p.Goal) + "d, on validation rows"},
		{Name: "Training time, of all trials", Value: words{Text: time.Duration(seconds * float64(time.Second)).Round(time.Second / 10).String()}},
	}
	if cost > 0 {
		facts = append(facts, fact{Name: "Cost", Value: number(cost)})
	}
	return v, facts
}

// paramsText is a trial's parameters on a line, by name.
func paramsText(params map[string]any) string {
	var parts []string
	for name, v := range params {
		parts = append(parts, name+" = "+paramText(v))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func paramText(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'g', 5, 64)
	}
	return fmt.Sprint(v)
}

func trialRow(t SearchTrial) searchRow {
	r := searchRow{
		Number: t.Number, State: chip{unknown, string(t.State)}, Value: words{Text: none}, Params: clipped(paramsText(t.Params), longText),
		Step: none, Seconds: none, Cost: none,
	}
	switch t.State {
	case search.Complete:
		r.State.State, r.Value = good, number(t.Value)
	case search.Pruned:
		r.Value = number(t.Value)
	case search.Failed:
		r.State.State = bad
	}
	if t.Step > 0 {
		r.Step = strconv.Itoa(t.Step)
	}
	if t.Seconds > 0 {
		r.Seconds = strconv.FormatFloat(t.Seconds, 'f', 1, 64)
	}
	if t.Cost > 0 {
		r.Cost = number(t.Cost).Text
	}
	if t.Reason != "" {
		r.Reason = clipped(t.Reason, longText)
	}
	return r
}

func importanceOf(p SearchPage) []importanceRow {
	if p.Space == nil {
		return nil
	}
	var out []importanceRow
	for _, i := range search.Importances(p.Space, plainTrials(p.Trials)) {
		out = append(out, importanceRow{
			Name: name(i.Param), Share: strconv.FormatFloat(100*i.Share, 'f', 0, 64) + " %", Width: coordinate(100 * i.Share),
		})
	}
	return out
}
