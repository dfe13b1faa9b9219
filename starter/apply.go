package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
	"github.com/leanloop/leanloop/schedules"
	"github.com/leanloop/leanloop/workflows"
)

// applyOptions are starter apply's.
type applyOptions struct {
	*app
	file   string
	dryRun bool
}

func newApply(a *app, run func(context.Context, *applyOptions) error) *cobra.Command {
	o := &applyOptions{app: a}
	cmd := &cobra.Command{
		Use: "apply -f model.yaml", Short: "Make a spec the current one, with its code and its schedules", Args: cobra.NoArgs,
		Long: `Store the spec under its digest and enter it in the model's ledger, pack and store the folder beside it where
train.command or serving.command is used, keep the model's workflow running, and make its schedules what the spec asks for.
Applying the same again changes nothing. Runs that are open keep the spec they were started with.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.file == "" {
				return usagef("which spec? -f model.yaml")
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "the spec")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "show what would change, and change nothing")
	return cmd
}

// applied is what an apply did, or would do.
type applied struct {
	Model     string             `json:"model"`
	Digest    string             `json:"digest"`
	Changed   bool               `json:"changed"` // the spec differs from the one applied before
	Created   bool               `json:"created"` // the model is new
	DryRun    bool               `json:"dry_run,omitempty"`
	Seq       int64              `json:"seq"` // of the ledger's newest entry
	Code      string             `json:"code,omitempty"`
	Spec      []fieldChange      `json:"spec_changes,omitempty"`
	Schedules []schedules.Change `json:"schedules,omitempty"`
	Warnings  []string           `json:"warnings,omitempty"`
	Workflow  string             `json:"workflow"`
	URL       string             `json:"url,omitempty"`
}

func runApply(ctx context.Context, o *applyOptions) error {
	m, code, err := loadSpec(o.file)
	if err != nil {
		return err
	}
	out, err := applySpec(ctx, o.app, m, code, o.dryRun)
	if err != nil {
		return err
	}
	if o.flags.format == formatTable {
		o.warn(out.Warnings)
	}
	return o.print(out, func(p *page) { appliedTable(p, out) })
}

// loadSpec reads a spec, and packs the folder beside it where a program of the model's own runs.
func loadSpec(file string) (m *spec.Model, code []byte, err error) {
	if m, err = spec.Load(file); err != nil || !m.RunsCode() {
		return m, nil, err
	}
	for _, name := range m.Train.Setup.Files {
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), filepath.FromSlash(name))); err != nil {
			return m, nil, fmt.Errorf("train.setup.files: %w; paths are beside %s", err, file)
		}
	}
	code, m.Train.Code, err = training.Pack(filepath.Dir(file))
	return m, code, err
}

// applySpec makes a spec the current one. Each step may be repeated, and the ledger's entry comes after what it refers
// to, so an apply that was cut off is finished by the next.
func applySpec(ctx context.Context, a *app, m *spec.Model, code []byte, dryRun bool) (applied, error) {
	name := m.Metadata.Name
	out := applied{Model: name, Code: m.Train.Code, DryRun: dryRun, Warnings: m.Warnings(), Workflow: workflows.ModelID(name)}
	actor, err := a.actor()
	if err != nil {
		return out, err
	}
	if out.Digest, err = m.Digest(); err != nil {
		return out, err
	}
	// Temporal first: where it doesn't answer, nothing is half done.
	scheduler, err := a.scheduler(ctx)
	if err != nil {
		return out, err
	}
	engine, err := a.engine(ctx)
	if err != nil {
		return out, err
	}
	if err := out.compare(ctx, a, m); err != nil {
		return out, err
	}
	desired := schedules.Desired(m)
	if dryRun {
		out.Schedules, err = schedules.Plan(ctx, scheduler, name, desired)
		return out, err
	}
	if out.Changed {
		if err := out.enter(ctx, a, m, code, actor); err != nil {
			return out, err
		}
	}
	if err := engine.Start(ctx, name); err != nil {
		return out, err
	}
	out.URL = a.link(out.Workflow)
	out.Schedules, err = schedules.Apply(ctx, scheduler, name, desired)
	return out, err
}

// compare finds what differs from the spec that is applied.
func (out *applied) compare(ctx context.Context, a *app, m *spec.Model) error {
	ledger, err := a.ledger(ctx, out.Model)
	if err != nil {
		return err
	}
	head, err := ledger.Head(ctx)
	if err != nil {
		return err
	}
	out.Seq = head.Seq
	out.Created, out.Changed = head.Seq == 0, head.State.Spec.Digest != out.Digest
	if !out.Changed || head.State.Spec.Digest == "" {
		return nil
	}
	before, err := a.appliedSpec(ctx, out.Model, head.State.Spec.Digest)
	if isA[*spec.Invalid](err) {
		return nil // of a release that allowed other fields: there is nothing to compare
	}
	if err != nil {
		return err
	}
	out.Spec, err = specDiff(before, m)
	return err
}

// enter stores the code, the spec and the entry, in this order.
func (out *applied) enter(ctx context.Context, a *app, m *spec.Model, code []byte, actor string) error {
	store, err := a.store(ctx)
	if err != nil {
		return err
	}
	if code != nil {
		_, err := store.Create(ctx, training.CodeKey(m.Train.Code), bytes.NewReader(code), int64(len(code)))
		if err != nil && !errors.Is(err, objectstore.ErrExists) {
			return fmt.Errorf("store the code: %w", err)
		}
	}
	canonical, err := m.Canonical()
	if err != nil {
		return err
	}
	if _, err := registry.PutSpec(ctx, store, out.Model, canonical); err != nil {
		return err
	}
	ledger, err := a.ledger(ctx, out.Model)
	if err != nil {
		return err
	}
	e, err := ledger.Do(ctx, registry.Command{
		// The sequence makes going back to an earlier spec a change of its own.
		Key: fmt.Sprintf("apply/%d/%s", out.Seq, out.Digest), Kind: registry.KindSpecApplied,
		Actor: actor, Via: "cli", Time: a.now().UTC(), Spec: &registry.SpecApplied{Digest: out.Digest, AppliedBy: actor},
	})
	if err != nil {
		return err
	}
	out.Seq = e.Seq
	return nil
}

// appliedSpec reads a spec that was applied.
func (a *app) appliedSpec(ctx context.Context, model, digest string) (*spec.Model, error) {
	store, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := registry.ReadSpec(ctx, store, model, digest)
	if err != nil {
		return nil, err
	}
	return spec.Parse("spec "+digest, raw)
}

func appliedTable(p *page, a applied) {
	would := ""
	if a.DryRun {
		would = "would be "
	}
	switch {
	case a.Created:
		p.line("model %s %screated, spec %s", a.Model, would, short(a.Digest))
	case a.Changed:
		p.line("model %s: spec %s %sapplied, %d field(s) changed", a.Model, short(a.Digest), would, len(a.Spec))
		specDiffTable(p, a.Spec)
	default:
		p.line("model %s: spec %s is the current one already", a.Model, short(a.Digest))
	}
	for _, c := range schedules.Changes(a.Schedules) {
		p.line("schedule %s", c)
	}
	if a.URL != "" {
		p.line("%s", p.style.paint(toneDim, a.URL))
	}
}
