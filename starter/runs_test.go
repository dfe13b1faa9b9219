package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseRun(t *testing.T) {
	for arg, want := range map[string]runRef{
		"lifecycle/churn/12": {"churn", 12}, "churn/3": {"churn", 3}, "flight-delay/1": {"flight-delay", 1},
	} {
		got, ok := parseRun(arg)
		require.True(t, ok, arg)
		require.Equal(t, want, got)
	}
	for _, arg := range []string{"", "churn", "churn/", "churn/0", "churn/-1", "churn/x", "/3", "lifecycle/churn", "lifecycle/churn/3/4", "model/churn"} {
		_, ok := parseRun(arg)
		require.False(t, ok, arg)
	}
}

func FuzzParseRun(f *testing.F) {
	for _, seed := range []string{"lifecycle/churn/12", "churn/3", "churn", "//", "lifecycle/lifecycle/1", "a/99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		r, ok := parseRun(arg)
		if !ok {
			return
		}
		again, ok := parseRun(r.id())
		if !ok || again != r {
			t.Fatalf("%q is %+v, whose id %q is %+v", arg, r, r.id(), again)
		}
		if r.number < 1 || r.model == "" || strings.Contains(r.model, "/") {
			t.Fatalf("%q is %+v", arg, r)
		}
	})
}

func FuzzHead(f *testing.F) {
	for _, seed := range []string{"", "12", "12:ab", ":", "-1", "x:y", "9223372036854775808"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, head string) {
		o, err := verifyOptionsOf(head, false)
		if err != nil && exitCode(err) != exitUsage {
			t.Fatalf("%q: %v", head, err)
		}
		if err == nil && head != "" && o.Head < 1 {
			t.Fatalf("%q is %+v", head, o)
		}
	})
}
