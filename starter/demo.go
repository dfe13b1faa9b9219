package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"golang.org/x/term"

	"github.com/leanloop/leanloop/internal/devstack"
	"github.com/leanloop/leanloop/internal/local"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

// demoOptions are the demo's flags.
type demoOptions struct {
	Yes    bool
	Keep   bool
	Data   string
	Output string

	Temporal  string // host:port of a server that runs already; "": TEMPORAL_ADDRESS's, or one of our own
	Namespace string
	Profile   string
	Operator  string // who decides: cli:<name>
	Config    string // the user's configuration folder
	Print     func(v any, asTable func(*page)) error
	In        io.Reader
	Out       io.Writer
	Err       io.Writer
}

func newDemoCommand(a *app) *cobra.Command {
	o := demoOptions{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole lifecycle on real flights, on this machine",
		Long: `Starts real servers (Temporal, S3, InfluxDB), a worker and a gateway on this
machine and tells the story of one model through a year of flights: a first
version, a corrupted file, a better challenger, one that can't work, a killed
worker, and a summer that winter's model has never seen.

The first start builds the servers, which takes minutes; later ones take seconds.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			operator, err := a.actor()
			if err != nil {
				return err
			}
			config, err := a.configDir()
			if err != nil {
				return err
			}
			o.Operator, o.Config, o.Print = operator, config, a.print
			o.Temporal, o.Profile = a.flags.connection.Address, a.flags.connection.Profile
			o.Namespace = first(a.flags.connection.Namespace, a.env("TEMPORAL_NAMESPACE"))
			o.Output, o.In, o.Out, o.Err = a.flags.format, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runDemo(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.Yes, "yes", false, "approve everything, after showing what is asked")
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "leave everything running at the end, until Ctrl-C")
	cmd.Flags().StringVar(&o.Data, "data", "", "keep all state in this folder; default: a temporary one, removed at the end")
	return cmd
}

func runDemo(ctx context.Context, o demoOptions) error {
	if f, isFile := o.In.(*os.File); !o.Yes && (!isFile || !term.IsTerminal(int(f.Fd()))) {
		return usagef("the demo asks at approvals and there is no terminal to ask at: run it with --yes")
	}
	began := time.Now()
	// With -o json the story goes to stderr, so that stdout is one object.
	progress := o.Out
	if o.Output != formatTable {
		progress = o.Err
	}
	data, remove, err := demoFolder(o)
	if err != nil {
		return err
	}
	defer remove()
	say := newNarrator(progress)
	w, closeAll, err := openWorld(ctx, o, data, say)
	if err != nil {
		return err
	}
	defer closeAll()
	say.line("\nTemporal UI  %s\nGateway      %s\nState        %s", w.stack.Addresses().Temporal.UI, w.stack.GatewayURL(), data)
	result := &demoResult{
		Model: w.model(), Stack: demoStack{TemporalUI: w.stack.Addresses().Temporal.UI, Gateway: w.stack.GatewayURL()}, Drift: []demoDrift{},
	}
	s := &story{world: w, traffic: newTraffic(w.stack.GatewayURL(), w.base), result: result}
	told := s.tell(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // stopped in the middle: a conclusion would say that nothing is verified
	}
	if err := s.conclude(ctx, began); err != nil && told == nil {
		told = err
	}
	if err := printDemo(o, result, progress); err != nil {
		return err
	}
	if told != nil {
		return told
	}
	if o.Keep {
		// The last chapter looks for drift every two seconds: nobody wants to read that for long.
		if err := s.apply(ctx, nil); err != nil {
			return err
		}
		say.line("\nEverything keeps running; state is in %s. Ctrl-C ends it.\nIn another terminal: go run ./starter --dev %s status %s", data, data, w.model())
		return w.stack.Watch(ctx)
	}
	return nil
}

// demoFolder is where state goes. A temporary one is removed when the demo, or what it kept running, ends.
func demoFolder(o demoOptions) (dir string, remove func(), err error) {
	if o.Data != "" {
		if entries, err := os.ReadDir(o.Data); err == nil && len(entries) > 0 {
			return "", nil, usagef("--data %s isn't empty: the story starts from nothing; name another folder, or remove it", o.Data)
		}
		return o.Data, func() {}, nil
	}
	dir, err = os.MkdirTemp("", "leanloop-demo-*")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// openWorld starts the stack and connects to it.
func openWorld(ctx context.Context, o demoOptions, data string, say *narrator) (*world, func(), error) {
	root, err := devstack.ProductDir()
	if err != nil {
		return nil, nil, err
	}
	example := filepath.Join(root, "examples", "flight-delay")
	m, err := spec.Load(filepath.Join(example, "model.yaml"))
	if err != nil {
		return nil, nil, err
	}
	hurry(m, o.Operator)
	stack, err := local.Up(ctx, local.Options{
		Data: data, Log: say.out, Temporal: o.Temporal, Namespace: o.Namespace, SearchAttributes: workflows.SearchAttributes(),
	})
	if err != nil {
		return nil, nil, err
	}
	w := &world{stack: stack, example: example, base: m, operator: o.Operator, say: say}
	closeAll := func() {
		_ = RemoveDevContext(o.Config, data)
		if w.app != nil {
			w.app.close()
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if err := stack.Down(stop); err != nil {
			say.line("stopping: %v", err)
		}
	}
	if err := w.connect(ctx, o, data); err != nil {
		closeAll()
		return nil, nil, err
	}
	w.decide = decideBy(o, say)
	return w, closeAll, nil
}

// connect opens the stack as any command in another terminal would: by its data folder.
func (w *world) connect(ctx context.Context, o demoOptions, data string) error {
	if err := WriteGuestContext(o.Config, devContextOf(data, w.stack)); err != nil {
		return err
	}
	if err := adoptTemporal(ctx, w.stack, o.Profile); err != nil {
		return err
	}
	w.app = newApp()
	w.app.flags.connection.Profile = o.Profile
	w.app.flags.dev, w.app.flags.as, w.app.errOut = data, o.Operator, io.Discard
	var err error
	if w.temporal, err = w.app.dial(ctx); err != nil {
		return err
	}
	if w.store, err = w.app.store(ctx); err != nil {
		return err
	}
	return w.new(ctx)
}

// new refuses a Temporal server on which the story's model lives already: its runs would have other numbers.
func (w *world) new(ctx context.Context) error {
	_, err := w.temporal.DescribeWorkflowExecution(ctx, workflows.ModelID(w.model()), "")
	if _, missing := errors.AsType[*serviceerror.NotFound](err); missing {
		return nil
	}
	if err != nil {
		return err
	}
	a := w.stack.Addresses().Temporal
	return usagef("%s exists already on Temporal %s, namespace %s: the story starts from nothing; name another --namespace", workflows.ModelID(w.model()), a.Address, a.Namespace)
}

// hurry gives the example's spec the times of a story that is over in two minutes. Gates and rules stay.
func hurry(m *spec.Model, operator string) {
	seconds := func(n int) spec.Duration { return spec.Duration(time.Duration(n) * time.Second) }
	m.Approval.Approvers, m.Approval.Timeout = []string{operator}, seconds(600)
	m.Canary.Steps = []spec.Step{{Weight: 0.2, Hold: seconds(4), MinRequests: 200}, {Weight: 0.5, Hold: seconds(3), MinRequests: 200}}
	m.Canary.Interval, m.Canary.Deadline = seconds(1), seconds(90)
	m.Retrain.Cooldown = 0
}

// decideBy asks at the terminal, or says yes after showing what is asked.
func decideBy(o demoOptions, say *narrator) func(context.Context, workflows.LifecycleState) (bool, error) {
	lines := bufio.NewScanner(o.In)
	return func(ctx context.Context, s workflows.LifecycleState) (bool, error) {
		say.question(s)
		if o.Yes {
			say.note("  yes (--yes)")
			return true, nil
		}
		_, _ = fmt.Fprint(say.out, "   approve? [Y/n] ")
		answer := make(chan string, 1)
		go func() {
			if lines.Scan() {
				answer <- strings.ToLower(strings.TrimSpace(lines.Text()))
			}
			close(answer)
		}()
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case a := <-answer:
			return a == "" || a == "y" || a == "yes", nil
		}
	}
}

// conclude gathers what the result says beside the chapters.
func (s *story) conclude(ctx context.Context, began time.Time) error {
	r := s.result
	r.Served, r.Failed, r.Seconds = s.traffic.served.Load(), s.traffic.failed.Load(), time.Since(began).Seconds()
	if why, ok := s.traffic.lastFail.Load().(string); ok {
		s.say.note("%d predictions failed, the last one: %s", r.Failed, why)
	}
	ledger := registry.NewLedger(s.store, s.model())
	head, err := ledger.Head(ctx)
	if err != nil {
		return err
	}
	r.Champion = head.State.Champion
	v, err := ledger.Verify(ctx, registry.VerifyOptions{Artifacts: true})
	if err != nil {
		return err
	}
	r.Ledger = demoLedger{Entries: v.Entries, Verified: v.Verified}
	if !v.Verified {
		return fmt.Errorf("the ledger isn't verified: %v", v.Problems)
	}
	r.Drift, err = s.driftWindows(ctx)
	return err
}

func printDemo(o demoOptions, r *demoResult, progress io.Writer) error {
	if o.Output == formatTable {
		_, _ = fmt.Fprintln(progress)
		r.table(progress)
		return nil
	}
	return o.Print(r, nil)
}
