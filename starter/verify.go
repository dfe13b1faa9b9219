package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

// verifyOptions are starter verify's.
type verifyOptions struct {
	*app
	model     string
	all       bool
	head      string
	artifacts bool
}

func newVerify(a *app, run func(context.Context, *verifyOptions) error) *cobra.Command {
	o := &verifyOptions{app: a}
	cmd := &cobra.Command{
		Use: "verify MODEL|--all", Short: "Check the chain of everything that was decided, and its digests", Args: cobra.MaximumNArgs(1),
		Long: `Read a model's ledger and its data set's index from the first entry on, and check that each follows the one before,
that each state is what the rules make of it, and that the chain reaches every head that was seen: by the last run, by
live gateways, or by you (--head). With --artifacts every artifact and spec is read and held against its digest.
It needs the bucket alone. Exit code 1: not verified.`,
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == o.all {
				return usagef("which model? MODEL, or --all")
			}
			if o.all && o.head != "" {
				return usagef("--head is one model's: it doesn't go with --all")
			}
			if len(args) == 1 {
				o.model = args[0]
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "every model")
	f.StringVar(&o.head, "head", "", "SEQ or SEQ:HASH that the ledger must hold")
	f.BoolVar(&o.artifacts, "artifacts", false, "read every artifact and spec too")
	return cmd
}

// verified is one model's result.
type verified struct {
	Model    string                `json:"model"`
	Verified bool                  `json:"verified"`
	Ledger   registry.Verification `json:"ledger"`
	Dataset  registry.Verification `json:"dataset"`
}

func runVerify(ctx context.Context, o *verifyOptions) error {
	options, err := verifyOptionsOf(o.head, o.artifacts)
	if err != nil {
		return err
	}
	names := []string{o.model}
	if o.all {
		if names, err = o.models(ctx); err != nil {
			return err
		}
	}
	results, failed := []verified{}, []string{}
	for _, name := range names {
		v, err := verifyModel(ctx, o.app, name, options)
		if err != nil {
			return err
		}
		if !v.Verified {
			failed = append(failed, name)
		}
		results = append(results, v)
	}
	if err := o.printVerified(results); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("not verified: %s: what is stored isn't what was written; keep the bucket as it is, and compare it with a backup", strings.Join(failed, ", "))
	}
	return nil
}

// printVerified prints one object for one model, and a list with --all.
func (o *verifyOptions) printVerified(results []verified) error {
	if !o.all && len(results) == 1 {
		return o.print(results[0], func(p *page) { o.table(p, results) })
	}
	return o.print(results, func(p *page) { o.table(p, results) })
}

// verifyOptionsOf reads --head.
func verifyOptionsOf(head string, artifacts bool) (registry.VerifyOptions, error) {
	out := registry.VerifyOptions{Artifacts: artifacts}
	if head == "" {
		return out, nil
	}
	seq, hash, _ := strings.Cut(head, ":")
	n, err := strconv.ParseInt(seq, 10, 64)
	if err != nil || n < 1 {
		return out, usagef("--head %q: want SEQ or SEQ:HASH, as `starter history -o json` shows them", head)
	}
	out.Head, out.HeadHash = n, strings.ToLower(hash)
	return out, nil
}

// verifyModel checks a model's ledger and its data set's index.
func verifyModel(ctx context.Context, a *app, model string, o registry.VerifyOptions) (verified, error) {
	store, err := a.store(ctx)
	if err != nil {
		return verified{}, err
	}
	if err := registry.CheckName("model", model); err != nil {
		return verified{}, usagef("%w", err)
	}
	ledger := registry.NewLedger(store, model)
	if err := seen(ctx, store, model, ledger); err != nil {
		return verified{}, err
	}
	v := verified{Model: model}
	if v.Ledger, err = ledger.Verify(ctx, o); err != nil {
		return v, err
	}
	if v.Ledger.Entries == 0 && v.Ledger.Verified {
		return v, notFound("model "+model, "`starter list` names those there are")
	}
	if v.Dataset, err = registry.NewIndex(store, model).Verify(ctx, registry.VerifyOptions{}); err != nil {
		return v, err
	}
	v.Verified = v.Ledger.Verified && v.Dataset.Verified
	return v, nil
}

// seen tells the ledger which heads others saw, so that one that was cut off at its end is noticed.
func seen(ctx context.Context, store objectstore.Store, model string, ledger *registry.Ledger) error {
	last, err := activities.LastRun(ctx, store, model)
	if err != nil {
		return fmt.Errorf("runs of %s: %w", model, err)
	}
	if last > 0 {
		record, err := activities.ReadRecord(ctx, store, model, last)
		if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
			return err
		}
		if record.Result != nil && record.Result.HeadSeq > 0 {
			ledger.Saw(record.Result.HeadSeq, record.Result.HeadHash)
		}
	}
	beats, err := registry.Heartbeats(ctx, store)
	if err != nil {
		return err
	}
	for _, b := range beats {
		if seq := b.Models[model].Seq; seq > 0 {
			ledger.Saw(seq, "")
		}
	}
	return nil
}

func (o *verifyOptions) table(p *page, results []verified) {
	t := newTable("MODEL", "CHAIN", "ENTRIES", "HEAD", "ARTIFACTS", "FILES", "VERIFIED").alignRight(2, 4, 5)
	var problems []string
	row := func(model, chain string, v registry.Verification, withArtifacts bool) {
		answer := mark("yes")
		if !v.Verified {
			answer = mark("no")
		}
		artifacts, files := "-", "-" // not read
		if withArtifacts {
			artifacts, files = fmt.Sprint(v.Artifacts), fmt.Sprint(v.Files)
		}
		t.add(model, chain, fmt.Sprint(v.Entries), fmt.Sprintf("%d:%s", v.HeadSeq, short(v.HeadHash)), artifacts, files, answer)
		problems = append(problems, v.Problems...)
	}
	for _, r := range results {
		row(r.Model, "ledger", r.Ledger, o.artifacts)
		row(r.Model, "data set", r.Dataset, false)
	}
	p.table(t)
	for _, problem := range problems {
		p.line("%s %s", p.style.paint(toneBad, "problem:"), oneLine(problem))
	}
}
