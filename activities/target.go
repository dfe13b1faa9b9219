package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/notify"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/target"
)

const (
	// targetGrace is how long a target's program may take to end in order; what it was at is read back anyway.
	targetGrace = 2 * time.Second
	// longestPause is the longest wait between attempts at a target that can't be reached.
	longestPause = 20 * time.Second
)

// Driver runs the programs that drive what serves where gateways don't (docs/serving-targets.md).
type Driver struct {
	Lake       *Lake
	Secrets    func(name string) (string, bool) // values of serving.secrets; nil: there are none
	Supervisor []string                         // looks after the programs, as after trainers
	Pause      time.Duration                    // the first between attempts; 0: a second
}

// DeployInput makes a version ready in a target, before any request goes there.
type DeployInput struct {
	Model   string        `json:"model"`
	Spec    string        `json:"spec"`
	Version int           `json:"version"`
	Within  time.Duration `json:"within"`
}

// TargetView is a target as it reads back, beside what the ledger says.
type TargetView struct {
	target.Result
	Model   string    `json:"model"`
	Driven  bool      `json:"driven"` // false: gateways serve, which follow the ledger by themselves
	At      time.Time `json:"at"`
	Decided time.Time `json:"decided"`           // when the ledger's entry was written
	Problem string    `json:"problem,omitempty"` // why it doesn't agree, or couldn't be read
}

// IDs are the target's own names of versions; of no view there are none.
func (v *TargetView) IDs() map[int]string {
	if v == nil {
		return nil
	}
	out := map[int]string{}
	for _, version := range v.Versions {
		if version.ID != "" {
			out[version.Version] = version.ID
		}
	}
	return out
}

// Deploy makes a version ready in a target. Gateways need none: they load what the ledger names.
func (t *Traffic) Deploy(ctx context.Context, in DeployInput) (TargetView, error) {
	m, err := t.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil || !m.Serving.Driven() {
		return TargetView{Model: in.Model}, err
	}
	h := keepBeating(ctx)
	defer h.stop()
	ctx, cancel := context.WithTimeout(ctx, in.Within)
	defer cancel()
	s, done, err := t.Driver.open(ctx, in.Model, m)
	if err != nil {
		return TargetView{}, err
	}
	defer done()
	out, err := s.Deploy(ctx, in.Version)
	return TargetView{Result: out, Model: in.Model, Driven: true, At: t.Lake.Now().UTC()}, targetError(err)
}

// drive brings a target to what the ledger says, and tries again until it does or the time is over. What a program
// refuses is tried again only where somebody insists: traffic must come back, and what is wrong may be put right.
func (t *Traffic) drive(ctx context.Context, in ConfirmInput, m *spec.Model) (ConfirmOutput, error) {
	h := keepBeating(ctx)
	defer h.stop()
	until, cancel := context.WithTimeout(ctx, in.Within)
	defer cancel()
	pause := t.Driver.Pause
	if pause <= 0 {
		pause = time.Second
	}
	var why error // of the last attempt that wasn't cut off by the time
	for {
		view, err := t.Driver.sync(until, in.Model, m)
		if ctx.Err() != nil {
			return ConfirmOutput{}, ctx.Err()
		}
		if err == nil {
			return ConfirmOutput{Confirmed: true, Target: &view}, nil
		}
		if why == nil || until.Err() == nil {
			why = err
		}
		_, refused := errors.AsType[*target.Refused](err)
		out := ConfirmOutput{Target: &view, Refused: (refused || isPermanent(err)) && !in.Insist, Missing: []string{clip(why.Error(), maxText)}}
		h.note(out.Missing)
		if out.Refused || !pauseWithin(until, pause) {
			return out, nil
		}
		pause = min(2*pause, longestPause)
	}
}

// pauseWithin waits; it is false where the context ends first.
func pauseWithin(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// TargetInput looks after a model's target.
type TargetInput struct {
	Model    string        `json:"model"`
	ReadOnly bool          `json:"read_only,omitempty"` // compare, and change nothing
	Within   time.Duration `json:"within"`
}

// TargetCheckInput starts a check.
type TargetCheckInput struct {
	Model    string `json:"model"`
	ReadOnly bool   `json:"read_only,omitempty"` // compare, and change nothing
	Asked    bool   `json:"asked,omitempty"`     // by a person, who is answered: nobody else is told
}

// TargetCheck is what a check found, and what the next one needs of it.
type TargetCheck struct {
	TargetView
	Failures int  `json:"failures,omitempty"` // checks in a row with a problem
	Told     bool `json:"told,omitempty"`     // people know of it
}

// Check compares a model's target with its ledger, by the spec that is applied, and repairs it. Whatever keeps it from
// that is the view's problem and no error: the next check is due soon.
func (t *Traffic) Check(ctx context.Context, in TargetInput) (TargetView, error) {
	view := TargetView{Model: in.Model, At: t.Lake.Now().UTC()}
	head, err := t.Lake.Ledger(in.Model).Head(ctx)
	if err != nil {
		return view, ledgerError(err)
	}
	if head.State.Spec.Digest == "" {
		return view, nil
	}
	m, err := t.Lake.Spec(ctx, in.Model, head.State.Spec.Digest)
	if err != nil || !m.Serving.Driven() {
		return view, err
	}
	h := keepBeating(ctx)
	defer h.stop()
	within, cancel := context.WithTimeout(ctx, in.Within)
	defer cancel()
	if in.ReadOnly {
		view, err = t.Driver.look(within, in.Model, m)
	} else {
		view, err = t.Driver.sync(within, in.Model, m)
	}
	if ctx.Err() != nil {
		return view, ctx.Err()
	}
	if view.Decided = head.Command.Time; view.Entry > head.Seq {
		view.Decided = view.At // another entry came meanwhile, and the target was brought to that one
	}
	switch {
	case err != nil:
		view.Problem = clip(err.Error(), maxText)
	case !view.Agrees:
		view.Problem = fmt.Sprintf("it reads back %s, want %s", target.Text(view.Versions), view.Want)
	}
	return view, nil
}

// sync runs one target.Syncer.Sync.
func (d *Driver) sync(ctx context.Context, model string, m *spec.Model) (TargetView, error) {
	return d.with(ctx, model, m, target.Syncer.Sync)
}

// look runs one target.Syncer.Look.
func (d *Driver) look(ctx context.Context, model string, m *spec.Model) (TargetView, error) {
	return d.with(ctx, model, m, target.Syncer.Look)
}

func (d *Driver) with(ctx context.Context, model string, m *spec.Model, do func(target.Syncer, context.Context) (target.Result, error)) (TargetView, error) {
	view := TargetView{Model: model, Driven: true, At: d.Lake.Now().UTC()}
	s, done, err := d.open(ctx, model, m)
	if err != nil {
		return view, err
	}
	defer done()
	view.Result, err = do(s, ctx)
	return view, err
}

// open makes a private folder with the model's code in it, and what runs its program there.
func (d *Driver) open(ctx context.Context, model string, m *spec.Model) (s target.Syncer, done func(), err error) {
	env := map[string]string{}
	for _, name := range m.Serving.Secrets {
		value, ok := d.secret(name)
		if !ok {
			return s, nil, permanent(ErrorSpec, fmt.Errorf("serving.secrets: %s isn't set on this worker: want it in the worker's environment", name))
		}
		env[name] = value
	}
	dir, remove, err := d.Lake.scratch("target")
	if err != nil {
		return s, nil, err
	}
	defer func() {
		if err != nil {
			remove()
		}
	}()
	code, err := d.Lake.code(ctx, m.Train.Code, dir)
	if err != nil {
		return s, nil, err
	}
	port := &target.Command{
		Model: model, Argv: m.Serving.Command, Env: env, Code: code, Scratch: dir, Timeout: m.Serving.Timeout.D(),
		Supervisor: d.Supervisor, Grace: targetGrace, Now: d.Lake.Now,
		Fetch: func(ctx context.Context, digest, into string) ([]string, error) {
			return d.fetch(ctx, model, digest, into)
		},
	}
	head := func(ctx context.Context) (registry.State, error) {
		e, err := d.Lake.Ledger(model).Head(ctx)
		return e.State, ledgerError(err)
	}
	return target.Syncer{Head: head, Port: port, Now: d.Lake.Now, Pause: d.Pause}, remove, nil
}

func (d *Driver) secret(name string) (string, bool) {
	if d.Secrets == nil {
		return "", false
	}
	return d.Secrets(name)
}

// fetch writes an artifact's files into a folder, checked against its digest. Keys of training rows stay here: they are
// of no use to who serves.
func (d *Driver) fetch(ctx context.Context, model, digest, into string) ([]string, error) {
	manifest, err := registry.OpenArtifact(ctx, d.Lake.Store, model, digest)
	if err != nil {
		return nil, ledgerError(lost(err))
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(manifest.Files)) {
		if name == fileTrained {
			continue
		}
		err := fetchFile(ctx, filepath.Join(into, filepath.FromSlash(name)), func(w io.Writer) error {
			return registry.CopyArtifactFile(ctx, d.Lake.Store, model, digest, name, manifest.Files[name], w)
		})
		if err != nil {
			return nil, ledgerError(lost(err))
		}
		names = append(names, name)
	}
	return names, nil
}

// targetError types what a target answers: what it refuses isn't tried again.
func targetError(err error) error {
	if refused, ok := errors.AsType[*target.Refused](err); ok {
		return permanent(ErrorTarget, refused)
	}
	return err
}

// MonitorTarget is the check of a target, in messages.
const MonitorTarget = "target"

// wordTarget says what a target does, and what to do.
func (m *Messenger) wordTarget(msg *notify.Message, in MessageInput) {
	if in.Kind == MessageRepaired {
		msg.Severity, msg.Title = notify.Warning, in.Model+": its target served otherwise than decided, and was set right"
	} else {
		msg.Severity, msg.Title = notify.Failure, in.Model+": its target doesn't serve what was decided"
		msg.Text += fmt.Sprintf("\nwhat to do now: it is tried again each minute. starter target status %s compares it with the ledger now; "+
			"where the program of serving.command can't get through, set the weights by the target's own means.", in.Model)
	}
	m.linkMonitor(msg, in)
}
