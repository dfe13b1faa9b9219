package report_test

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/report"
	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/search/space"
	"github.com/leanloop/leanloop/internal/spec"
)

// searchPage is a search over parameters of these names, with trials in every state.
func searchPage(names []string) report.SearchPage {
	c := &space.Compiled{}
	for i, name := range names {
		p := space.Param{Name: name, Kind: space.Kind(i % 5), Low: 1, High: 10}
		if p.Kind == space.Choice {
			p.Choices = []any{hostile[0], true, 3.0}
		}
		c.Params = append(c.Params, p)
	}
	page := report.SearchPage{
		Title: names[0], Subject: names[0], At: at, Metric: names[0], Goal: search.Minimize, Planned: 60, Space: c, Stopped: names[0],
	}
	study := search.Study{Space: c, Sampler: search.Random, Seed: 1}
	for n := 1; n <= 50; n++ {
		params, err := study.Suggest(nil, n)
		if err != nil {
			panic(err)
		}
		t := report.SearchTrial{Trial: search.Trial{Number: n, State: search.Complete, Params: params, Value: 1 / float64(n), Step: n}, Seconds: float64(n), Cost: 0.5}
		switch {
		case n%10 == 0:
			t.State, t.Reason = search.Pruned, names[0]
		case n%11 == 0:
			t.State, t.Reason = search.Failed, hostile[n%len(hostile)]
		case n%13 == 0:
			t.State = search.Running
		case n == 3:
			t.Value = 1e9
		}
		page.Trials = append(page.Trials, t)
	}
	return page
}

func searched(t *testing.T, p report.SearchPage) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, report.Search(&b, p))
	return b.String()
}

func TestASearchPageTellsTheBestFirst(t *testing.T) {
	p := searchPage([]string{"eta", "depth", "rounds", "leaves", "booster"})
	p.Metric, p.Stopped = "log_loss", ""
	page := searched(t, p)
	require.Contains(t, page, "Trial 49 is the best: log_loss 0.0204")
	require.Contains(t, page, "5 pruned, 4 failed")
	require.Contains(t, page, "far worse than the rest.")
	for _, id := range []string{"history", "parallel", "importance", "trials"} {
		require.Contains(t, page, `id="`+id+`"`)
	}
	require.Less(t, strings.Index(page, `scope="row">49</th>`), strings.Index(page, `scope="row">48</th>`))
	require.Less(t, strings.Index(page, `scope="row">2</th>`), strings.Index(page, `scope="row">10</th>`), "pruned ones stand below")
	require.Equal(t, page, searched(t, p), "the same page gives the same bytes")

	p.Goal = search.Maximize
	require.Contains(t, searched(t, p), "Trial 3 is the best")
}

func TestASearchPageOfLittleIsAPageToo(t *testing.T) {
	one := searchPage([]string{"eta"})
	for name, change := range map[string]func(*report.SearchPage){
		"no trials":  func(p *report.SearchPage) { p.Trials = nil },
		"one trial":  func(p *report.SearchPage) { p.Trials = p.Trials[:1] },
		"all failed": func(p *report.SearchPage) { p.Trials = p.Trials[10:11] },
		"all equal": func(p *report.SearchPage) {
			for i := range p.Trials {
				p.Trials[i].Value = 1
			}
		},
		"huge": func(p *report.SearchPage) {
			for i := range p.Trials {
				p.Trials[i].Value = math.MaxFloat64 / float64(i+1)
			}
		},
		"no space": func(p *report.SearchPage) { p.Space = nil },
	} {
		p := one
		p.Trials = append([]report.SearchTrial(nil), one.Trials...)
		change(&p)
		page := searched(t, p)
		_, _ = parse(t, []byte(page))
		require.NotContains(t, page, "NaN", name)
	}
	p := one
	for n := 51; n <= 1200; n++ {
		p.Trials = append(p.Trials, report.SearchTrial{Trial: search.Trial{Number: n, State: search.Complete, Value: float64(n), Params: map[string]any{"eta": 1.0}}})
	}
	require.True(t, strings.Contains(searched(t, p), "Not listed: 200 more trials."))
	require.Error(t, report.Search(broken{}, one))
}

func TestACardNamesTheHyperparametersOfASearch(t *testing.T) {
	in := report.CardInput{Spec: spec.Defaults(), Trial: 12, Params: map[string]any{"eta": 0.125, "booster": "tree"}}
	require.Contains(t, string(report.Card(in)), "Hyperparameters of trial 12 of its search, the best on validation rows: booster = tree, eta = 0.125.")
	in.Trial = 0
	require.NotContains(t, string(report.Card(in)), "trial")
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
