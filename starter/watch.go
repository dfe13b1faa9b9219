package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// watchOptions are starter watch's.
type watchOptions struct {
	*app
	arg     string
	timeout time.Duration
}

func newWatch(a *app, run func(context.Context, *watchOptions) error) *cobra.Command {
	o := &watchOptions{app: a}
	cmd := &cobra.Command{
		Use: "watch MODEL|LIFECYCLE", Short: "Follow a run to its end; its outcome is the exit code", Args: cobra.ExactArgs(1),
		Long: `Follow a run to its end: on a terminal as one view that is drawn anew, else as one line for each change.
Exit code: 0 promoted or unchanged, 3 gate or validation failed, 4 rejected, 5 rolled back, 6 timed out, else 1.`,
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.arg = args[0]
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "how long (0: until the run ends)")
	return cmd
}

func runWatch(ctx context.Context, o *watchOptions) error {
	ref, err := o.openRun(ctx)
	if err != nil {
		return err
	}
	end, err := follow(ctx, o.app, ref.id(), o.timeout)
	if err != nil {
		return err
	}
	if err := o.print(end, func(p *page) { runTable(p, end) }); err != nil {
		return err
	}
	return outcomeOf(end.ID, end.Outcome, end.Reason)
}

// openRun is the run to follow: the open one, else one that is about to start, else the last.
func (o *watchOptions) openRun(ctx context.Context) (runRef, error) {
	ref, open, err := o.findRun(ctx, o.arg)
	if err != nil || open {
		return ref, err
	}
	v, err := o.view(ctx, ref)
	if err != nil || v.Outcome == "" {
		return ref, err
	}
	engine, err := o.engine(ctx)
	if err != nil {
		return ref, err
	}
	state, err := engine.Model(ctx, ref.model)
	if err == nil && len(state.Pending) > 0 && state.DeferUntil.IsZero() {
		return o.nextRun(ctx, runRef{model: ref.model, number: ref.number + 1})
	}
	return ref, nil // a fast run may be over before anybody could watch it: its end is what is asked for
}

// nextRun waits until a run that is about to start has its record.
func (o *watchOptions) nextRun(ctx context.Context, next runRef) (runRef, error) {
	const limit = 30 * time.Second
	err := poll(ctx, "the start of "+next.id(), o.pollEvery, limit, func(ctx context.Context) (bool, error) {
		_, err := o.view(ctx, next)
		if isA[*notFoundError](err) {
			return false, nil
		}
		return err == nil, err
	})
	return next, err
}

// follow shows a run until it has ended, on stderr where stdout is for a document, and returns its last view.
func follow(ctx context.Context, a *app, id string, timeout time.Duration) (runView, error) {
	ref, ok := parseRun(id)
	if !ok {
		return runView{}, usagef("run %q: want lifecycle/<model>/<number>", id)
	}
	to := a.errOut
	if a.flags.format == formatTable && a.terminal(a.out) {
		to = a.out
	}
	var show func(runView)
	screen := &screen{to: to}
	screen.width, screen.height = sizeOf(to)
	if a.terminal(to) {
		defer screen.clear()
		show = func(v runView) {
			p := &page{style: a.styleOf(to), now: a.now()}
			runTable(p, v)
			screen.draw(p.String())
		}
	} else {
		var last runView
		show = func(v runView) {
			for _, line := range changes(last, v) {
				fmt.Fprintf(to, "%s  %s\n", a.now().Format("15:04:05"), line)
			}
			last = v
		}
	}
	var v runView
	err := poll(ctx, "the end of "+id, a.pollEvery, timeout, func(ctx context.Context) (bool, error) {
		now, err := a.view(ctx, ref)
		switch {
		case err == nil:
			v = now
		case v.ID == "" || ctx.Err() != nil:
			return false, err
		default:
			v.Problem = err.Error() // the store is away for a moment: what was seen stays on the screen
		}
		show(v)
		return v.over(), nil
	})
	return v, err
}

// screen redraws a block of lines in place.
type screen struct {
	to            io.Writer
	width, height int // 0: unbounded
	lines         int
}

// draw replaces the block. Lines are cut to the terminal's width, since one that wraps would be two, and what is more
// than a screen is left out, since the cursor can't go back to what has scrolled away.
func (s *screen) draw(text string) {
	var b strings.Builder
	if s.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", s.lines)
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if s.height > 1 {
		lines = lines[:min(len(lines), s.height-1)]
	}
	for _, line := range lines {
		b.WriteString(cut(line, s.width) + "\n")
	}
	s.lines = len(lines)
	_, _ = io.WriteString(s.to, b.String())
}

// clear removes the block, for the final result to take its place.
func (s *screen) clear() {
	if s.lines > 0 {
		fmt.Fprintf(s.to, "\x1b[%dA\x1b[J", s.lines)
		s.lines = 0
	}
}

// cut shortens a line to a width as it is seen: escape sequences take no room, and colours are reset at the cut.
func cut(line string, width int) string {
	if width <= 0 {
		return line
	}
	var b strings.Builder
	seen, escape := 0, false
	for _, r := range line {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			if seen++; seen > width {
				return b.String() + "\x1b[0m"
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

// sizeOf is a terminal's columns and rows; 0: no terminal.
func sizeOf(to io.Writer) (width, height int) {
	f, ok := to.(*os.File)
	if !ok {
		return 0, 0
	}
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}
