package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/inference/remote"
	"github.com/leanloop/leanloop/internal/instant"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/onnx"
	"github.com/leanloop/leanloop/internal/spec"
)

// importOptions are starter import's: a submission whose model exists already.
type importOptions struct {
	submitOptions
	artifact     string
	signature    string
	trainedUntil string
}

func newImport(a *app, run func(context.Context, *importOptions) error) *cobra.Command {
	o := &importOptions{submitOptions: submitOptions{app: a}}
	cmd := &cobra.Command{
		Use: "import -f model.yaml --artifact FILE --signature FILE", Short: "Register a model that was trained elsewhere", Args: cobra.NoArgs,
		Long: `Check that the model loads and fits its signature and the spec, apply the spec where it changed, store the files by
their digest, and ask for a run in which they take the place of training: it is judged on the data set's test rows by
the spec's gates, approved, tried on a little traffic and promoted as any other. So data has to be landed first.

Nobody here knows what it was trained on: any test row may have been among it. So its metrics are shown, the champion
isn't compared, and the verdict is "inconclusive" at best: a person decides. --trained-until says that it saw no event
after a time (of the column data.time): then it is judged, and compared, on the test rows after that.

Importing the same files for the same spec again starts nothing, unless --force.`,
		Example: `  starter import -f model.yaml --artifact xgb.json --signature signature.json --reason "the model of before" --wait
  starter import -f model.yaml --artifact folder/ --trained-until 2013-09-30`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.file == "":
				return usagef("for which spec? -f model.yaml")
			case o.artifact == "":
				return usagef("which model? --artifact FILE, or a folder that holds it and its signature.json")
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "file", "f", "", "the spec; it is applied where it changed")
	f.StringVar(&o.artifact, "artifact", "", "the model's file, or a folder that holds it and its signature.json")
	f.StringVar(&o.signature, "signature", "", "the model's signature.json, where it lies elsewhere")
	f.StringVar(&o.trainedUntil, "trained-until", "", "the newest event that it may have been trained on: 2013-09-30, or 2013-09-30T12:00:00Z")
	f.BoolVar(&o.force, "force", false, "ask for another run of files that were imported before")
	f.BoolVar(&o.wait, "wait", false, "follow the run to its end")
	f.StringVar(&o.reason, "reason", "", "why, for those who decide")
	f.DurationVar(&o.timeout, "timeout", 0, "with --wait: how long (0: until the run ends)")
	return cmd
}

func runImport(ctx context.Context, o *importOptions) error {
	m, _, err := loadSpec(o.file)
	if err != nil {
		return err
	}
	until, err := o.until(m)
	if err != nil {
		return err
	}
	files, err := o.files(ctx, m)
	if err != nil {
		return err
	}
	var out submitted
	if _, err := o.prepare(ctx, &out); err != nil { // applies the spec
		return err
	}
	head, err := o.head(ctx, out.Model)
	if err != nil {
		return err
	}
	given := activities.NewImport(files, until)
	if err := o.stage(ctx, out.Model, given, files); err != nil {
		return err
	}
	trigger, err := o.trigger(ctx, m, &out)
	if err != nil {
		return err
	}
	trigger.Import, out.Import = &given, given.Digest
	trigger.Key = "import/" + given.Digest + "/" + head.State.Spec.Digest
	return o.ask(ctx, trigger, &out)
}

// until is the time of --trained-until: of a day, its end.
func (o *importOptions) until(m *spec.Model) (time.Time, error) {
	if o.trainedUntil == "" {
		return time.Time{}, nil
	}
	if m.Data.Time == "" {
		return time.Time{}, usagef("--trained-until needs data.time in the spec: without it no row is known to be younger")
	}
	ns, ok := instant.Parse(o.trainedUntil)
	if !ok {
		return time.Time{}, usagef("--trained-until %q: want %s", o.trainedUntil, instant.Form)
	}
	at := time.Unix(0, ns).UTC()
	if len(o.trainedUntil) == len(time.DateOnly) {
		at = at.AddDate(0, 0, 1).Add(-time.Nanosecond)
	}
	return at, nil
}

// files reads the model and its signature, and holds them to each other and to the spec. What only a worker has, an
// outside runtime and the data, is asked there.
func (o *importOptions) files(ctx context.Context, m *spec.Model) (map[string][]byte, error) {
	model, signature := o.artifact, o.signature
	folder := false
	if info, err := os.Stat(o.artifact); err == nil && info.IsDir() {
		folder = true
		if signature == "" {
			signature = filepath.Join(o.artifact, inference.SignatureFile)
		}
	}
	if signature == "" {
		return nil, usagef("what are its inputs? --signature signature.json (starter schema and docs/trainer-contract.md say what it holds)")
	}
	raw, err := os.ReadFile(signature)
	if err != nil {
		return nil, usagef("--signature: %w", err)
	}
	s, err := inference.ParseSignature(raw)
	if err != nil {
		return nil, usagef("--signature: %w", err)
	}
	name := inference.ModelFileOf(s.Format)
	if folder {
		model = filepath.Join(o.artifact, name)
	}
	files := map[string][]byte{inference.SignatureFile: raw}
	if files[name], err = os.ReadFile(model); err != nil {
		return nil, usagef("--artifact: %w", err)
	}
	if slices.ContainsFunc(s.Inputs, func(f inference.Feature) bool { return f.Name == m.Data.Target }) {
		return nil, usagef("--signature: %q is one of its inputs, and what the spec wants predicted", m.Data.Target)
	}
	if s.Task != m.Task || s.Output != m.Data.Target {
		return nil, usagef("--signature: it predicts %s of %q, the spec wants %s of %q", s.Task, s.Output, m.Task, m.Data.Target)
	}
	if _, err := s.WithPolicy(m.Serving); err != nil {
		return nil, usagef("%w", err)
	}
	if err := checkImport(ctx, s.Format, files); err != nil {
		return nil, usagef("%s can't be imported: %w", o.artifact, err)
	}
	return files, nil
}

// checkImport loads what is scored in Go, and otherwise holds the file to the signature without running or asking anything.
func checkImport(ctx context.Context, format string, files map[string][]byte) error {
	switch format {
	case inference.FormatCommand:
		return errors.New("format command is predicted by a program, which comes with training: train.command and predict.command in the spec")
	case inference.FormatRemote:
		_, err := remote.ParseFile(files[inference.RemoteFile])
		return err
	}
	loaded, err := (&inference.Loader{}).Load(ctx, files)
	if _, outside := errors.AsType[*onnx.Unavailable](err); outside { // the file fits: it only isn't run here
		return nil
	}
	if err != nil {
		return fmt.Errorf("it doesn't fit its signature: %w", err)
	}
	return loaded.Close()
}

// stage stores the files where the run looks for them. They are there once, whoever imports them again.
func (o *importOptions) stage(ctx context.Context, model string, given activities.Import, files map[string][]byte) error {
	store, err := o.store(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		key := activities.ImportPrefix(model, given.Digest) + name
		_, err := store.Create(ctx, key, bytes.NewReader(files[name]), int64(len(files[name])))
		if err != nil && !errors.Is(err, objectstore.ErrExists) {
			return fmt.Errorf("store %s: %w", name, err)
		}
	}
	return nil
}
