package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/objectstore"
)

// logsOptions are starter logs'.
type logsOptions struct {
	*app
	run     string
	follow  bool
	attempt int
}

func newLogs(a *app, run func(context.Context, *logsOptions) error) *cobra.Command {
	o := &logsOptions{app: a}
	cmd := &cobra.Command{
		Use: "logs RUN", Short: "Print what a run's trainer printed, while it runs and ever after", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeModels,
		Long: `Print the log of a run's training attempts, one after the other, as far as it is stored: a line is a few seconds after it
was written. With -f it is followed, from one attempt to the next, until the run has no training before it any more.
Which attempt prints is said on stderr. -o json prints one object a line: attempt, token, line.

RUN is a run (sales/3), or a model: its open run, or else its last one. Built-in trainers print nothing.`,
		Example: `  starter logs sales -f
  starter logs sales/3 --attempt 2
  starter logs sales/3 -o json | jq -r .line`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.run = args[0]; o.attempt < 0 {
				return usagef("--attempt %d: want 1 or more", o.attempt)
			}
			if o.flags.format == formatYAML {
				return usagef("-o yaml: want table or json: a log is lines")
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.follow, "follow", "f", false, "go on until training has ended")
	f.IntVar(&o.attempt, "attempt", 0, "of this attempt alone, from 1; of a search: of this trial's attempts (0: all)")
	return cmd
}

// runLogs prints what there is, and with -f what comes. An interrupt while it follows is its end, not a failure.
func runLogs(ctx context.Context, o *logsOptions) error {
	ref, _, err := o.findRun(ctx, o.run)
	if err != nil {
		return err
	}
	store, err := o.store(ctx)
	if err != nil {
		return err
	}
	if _, err := o.view(ctx, ref); err != nil { // a run that isn't there is said so
		return err
	}
	l := &logReader{options: o, ref: ref, store: store}
	if !o.follow {
		return l.all(ctx)
	}
	err = poll(ctx, "the end of the training of "+ref.id(), o.pollEvery, 0, func(ctx context.Context) (bool, error) {
		over := l.over(ctx) // before it is read, so that nothing is missed
		err := l.some(ctx)
		if l.broken != nil || ctx.Err() != nil {
			return false, errors.Join(l.broken, ctx.Err())
		}
		return over && err == nil, nil // the store may be away for a moment
	})
	l.flush()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// logReader prints attempts' logs from where it was.
type logReader struct {
	options *logsOptions
	ref     runRef
	store   objectstore.Store

	token   string // of the attempt that is printed
	offset  int64
	ended   bool   // nothing more comes of it
	partial []byte // of a line whose end isn't there yet
	printed bool
	broken  error // of standard output: nobody reads it any more
}

// all prints what is stored of every attempt, which has to be something.
func (l *logReader) all(ctx context.Context) error {
	if err := l.some(ctx); err != nil {
		return err
	}
	l.flush()
	if !l.printed {
		what := "a log of " + l.ref.id()
		if l.options.attempt > 0 {
			what = fmt.Sprintf("a log of attempt %d of %s", l.options.attempt, l.ref.id())
		}
		return notFound(what, "a built-in trainer prints nothing, nor does a run that takes its training from the cache; `starter logs "+l.options.run+" -f` waits for one")
	}
	return nil
}

// some prints what has come: the rest of the attempt that it is at, and those after it.
func (l *logReader) some(ctx context.Context) error {
	tokens, err := activities.Attempts(ctx, l.store, l.ref.model, l.ref.number)
	if err != nil {
		return err
	}
	tokens = slices.DeleteFunc(tokens, func(token string) bool { return !l.wanted(token) })
	if l.token == "" && len(tokens) > 0 {
		l.begin(tokens[0])
	}
	for {
		if err := l.rest(ctx); err != nil {
			return err
		}
		next := slices.Index(tokens, l.token) + 1
		if l.token == "" || next >= len(tokens) {
			return nil
		}
		l.begin(tokens[next]) // the one before is over, or was given up
	}
}

// wanted says whether an attempt is to be printed. Tokens begin with the attempt's number.
func (l *logReader) wanted(token string) bool {
	if l.options.attempt == 0 {
		return true
	}
	return numberOf(token) == l.options.attempt
}

// numberOf is the number that a token begins with; that of a search's trial is the trial's.
func numberOf(token string) int {
	digits := strings.TrimLeft(token, "abcdefghijklmnopqrstuvwxyz")
	digits, _, _ = strings.Cut(digits, "-")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

func (l *logReader) begin(token string) {
	l.flush()
	l.token, l.offset, l.ended = token, 0, false
	if l.options.flags.format == formatTable {
		l.options.say("%s", l.options.styleOf(l.options.errOut).paint(toneDim, "attempt "+token))
	}
}

// rest prints what is stored of the attempt.
func (l *logReader) rest(ctx context.Context) error {
	for l.token != "" && !l.ended {
		body, final, err := activities.OpenLog(ctx, l.store, l.ref.model, l.ref.number, l.token, l.offset)
		if errors.Is(err, objectstore.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if !final { // whole, or not at all: the next part is found by where this one ends
			raw, err := io.ReadAll(body)
			_ = body.Close()
			if err != nil {
				return err
			}
			body = io.NopCloser(bytes.NewReader(raw))
		}
		n, err := io.Copy(l, body)
		_ = body.Close()
		l.offset += n
		if err != nil {
			return err
		}
		l.ended = final
	}
	return nil
}

// Write prints text, or takes it apart into lines.
func (l *logReader) Write(p []byte) (int, error) {
	l.printed = true
	if l.options.flags.format != formatJSON {
		n, err := l.options.out.Write(p)
		l.broken = err
		return n, err
	}
	l.partial = append(l.partial, p...)
	for {
		line, rest, found := bytes.Cut(l.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		if l.broken = l.line(line); l.broken != nil {
			return 0, l.broken
		}
		l.partial = rest
	}
}

func (l *logReader) line(text []byte) error {
	raw, err := json.Marshal(struct {
		Attempt int    `json:"attempt"`
		Token   string `json:"token"`
		Line    string `json:"line"`
	}{numberOf(l.token), l.token, strings.ToValidUTF8(string(bytes.TrimSuffix(text, []byte("\r"))), "\uFFFD")})
	if err != nil {
		return err
	}
	_, err = l.options.out.Write(append(raw, '\n'))
	return err
}

// flush prints a line that never ended.
func (l *logReader) flush() {
	if len(l.partial) > 0 {
		_ = l.line(l.partial)
		l.partial = nil
	}
}

// over says that no more of the run's training is to come. What can't be asked just now isn't over.
func (l *logReader) over(ctx context.Context) bool {
	v, err := l.options.view(ctx, l.ref)
	if err != nil {
		return false
	}
	if v.Outcome != "" {
		return true
	}
	for _, s := range v.Stages {
		if (s.Name == "train" || s.Name == "adopt" || s.Name == "restore") && s.Status != "running" && s.Status != "waiting" {
			return true
		}
	}
	return false
}
