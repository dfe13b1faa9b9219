package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/temporalx"
)

func connectionTo(address string) temporalx.Connection { return temporalx.Connection{Address: address} }

func TestTablesAlignAsSeen(t *testing.T) {
	draw := func(color bool) string {
		p := &page{style: style{color: color}}
		table := newTable("NAME", "N", "STATUS").alignRight(1)
		table.add("größer", "7", mark("done"))
		table.add("b", "1234", mark("failed"))
		p.table(table)
		return p.String()
	}
	require.Equal(t, "NAME       N  STATUS\ngrößer     7  done\nb       1234  failed\n", draw(false))
	colored := draw(true)
	require.Contains(t, colored, "\x1b[32mdone\x1b[0m")
	plain := strings.NewReplacer("\x1b[32m", "", "\x1b[31m", "", "\x1b[2m", "", "\x1b[0m", "").Replace(colored)
	require.Equal(t, draw(false), plain, "colours take no room")
}

func TestColoursAreForTerminalsWithoutNO_COLOR(t *testing.T) {
	w := newSession(t)
	require.False(t, w.styleOf(w.out).color)
	w.terminal = func(any) bool { return true }
	require.True(t, w.styleOf(w.out).color)
	w.variables["NO_COLOR"] = "1"
	require.False(t, w.styleOf(w.out).color)
}

func TestTextFromOutsideCantSteerATerminal(t *testing.T) {
	p := &page{}
	table := newTable("NAME", "X")
	table.add("a\x1b[31mb\nc\u202e", "x")
	p.table(table)
	require.NotContains(t, p.String(), "\x1b")
	require.Equal(t, 2, strings.Count(p.String(), "\n"))
	require.NotContains(t, p.String(), "\u202e")
}

func TestAgo(t *testing.T) {
	cases := map[time.Duration]string{
		0: "now", 400 * time.Millisecond: "now", 2300 * time.Millisecond: "2.3s ago", 59 * time.Second: "59s ago", 61 * time.Second: "1m01s ago",
		time.Hour: "1h00m ago", 25 * time.Hour: "1d01h ago", -90 * time.Second: "in 1m30s",
	}
	for d, want := range cases {
		require.Equal(t, want, ago(t0, t0.Add(-d)))
	}
	require.Equal(t, "-", ago(t0, time.Time{}))
}

func TestCutKeepsToTheWidth(t *testing.T) {
	require.Equal(t, "abc", cut("abc", 3))
	require.Equal(t, "ab\x1b[0m", cut("abc", 2))
	require.Equal(t, "\x1b[32mab\x1b[0m", cut("\x1b[32mabcd\x1b[0m", 2))
	require.Equal(t, "abc", cut("abc", 0), "no terminal, no width")
	rapid.Check(t, func(t *rapid.T) {
		line, width := rapid.StringMatching(`[a-zäß ]{0,60}`).Draw(t, "line"), rapid.IntRange(1, 40).Draw(t, "width")
		if n := utf8.RuneCountInString(strings.ReplaceAll(cut(line, width), "\x1b[0m", "")); n > width {
			t.Fatalf("%d columns > %d", n, width)
		}
	})
}

func TestScreenRedrawsInPlace(t *testing.T) {
	var b strings.Builder
	s := &screen{to: &b, width: 80}
	s.draw("one\ntwo\n")
	s.draw("three\n")
	s.clear()
	require.Equal(t, "one\ntwo\n\x1b[2A\x1b[Jthree\n\x1b[1A\x1b[J", b.String())
	b.Reset()
	s.height = 3
	s.draw("1\n2\n3\n4\n")
	require.Equal(t, "1\n2\n", b.String(), "what scrolled away can't be redrawn")
}

func TestYAMLIsTheSameDocumentAsJSON(t *testing.T) {
	w := newSession(t)
	w.flags.format = formatYAML
	require.NoError(t, w.print(fieldChange{Path: "gates.f1.min", From: "0.7"}, nil))
	require.Equal(t, "path: gates.f1.min\nfrom: \"0.7\"\n", w.stdout.String())
}

func TestChangesAreOneLineEach(t *testing.T) {
	before := runView{ID: "lifecycle/churn/2", Why: "landed", Stages: []activities.StageResult{{Name: "ingest", Status: "done", Seconds: 1}, {Name: "train", Status: "running"}}}
	require.Equal(t, []string{"lifecycle/churn/2: landed", "ingest done in 1.0s", "train running"}, changes(runView{}, before))
	require.Empty(t, changes(before, before))

	after := before
	after.Activities = []activity{{Name: "Train", Attempt: 1, Train: &activities.TrainProgress{Step: 6, Total: 60}}}
	require.Equal(t, []string{"train [##------------------] 6 of 60"}, changes(before, after))
	next := after
	next.Activities = []activity{{Name: "Train", Attempt: 1, Train: &activities.TrainProgress{Step: 7, Total: 60}}}
	require.Empty(t, changes(after, next), "a long training is ten lines, not sixty")

	next.Outcome, next.Reason, next.Notes = "failed", "boom", []string{"attempt 1 failed"}
	require.Equal(t, []string{"note: attempt 1 failed", "failed: boom"}, changes(after, next))
}
