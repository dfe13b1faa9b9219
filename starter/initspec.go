package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// initOptions are starter init's.
type initOptions struct {
	*app
	data  string
	input spec.InitInput
	task  string
}

func newInit(a *app, run func(context.Context, *initOptions) error) *cobra.Command {
	o := &initOptions{app: a}
	cmd := &cobra.Command{
		Use: "init FILE", Short: "Write a commented model.yaml from a data file", Args: cobra.ExactArgs(1),
		Long: `Read a data file (CSV, plain, gzip or zstd, or Parquet) and print a model.yaml with its columns, a guess at what they mean, and a comment for each choice.
Check the guesses: target, id and time matter most.`,
		Example: "  starter init sales.csv --name sales --target sold > model.yaml\n  starter init sales.parquet --target sold > model.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.data, o.input.Task = args[0], spec.Task(o.task)
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.input.Name, "name", "", "the model's name (default: the file's)")
	f.StringVar(&o.input.Prefix, "prefix", "", "where its files land: s3://bucket/folder/ (default: in the bucket of --bucket)")
	f.StringVar(&o.input.Target, "target", "", "column to predict")
	f.StringVar(&o.input.ID, "id", "", "column that names a row")
	f.StringVar(&o.input.Time, "time", "", "column of the event's time")
	f.StringVar(&o.task, "task", "", "binary, multiclass or regression")
	return cmd
}

// runInit prints YAML, with its comments: it is a file to keep.
func runInit(ctx context.Context, o *initOptions) error {
	if o.flags.format == formatJSON {
		return usagef("-o json: init prints a model.yaml, whose comments JSON has no place for")
	}
	f, err := os.Open(o.data)
	if err != nil {
		return usagef("%w", err)
	}
	defer func() { _ = f.Close() }()
	table, info, report, err := dataset.Read(ctx, f, dataset.ReadOptions{Name: o.data})
	if err != nil {
		return err // it names the file
	}
	if err := report.Error(); err != nil {
		return err
	}
	in := o.input
	in.Rows = info.Rows
	if in.Name == "" {
		in.Name = spec.NameFrom(filepath.Base(o.data))
	}
	if in.Prefix == "" {
		in.Prefix = fmt.Sprintf("s3://%s/landing/%s/", first(o.flags.bucket, o.env("LEANLOOP_BUCKET"), defaultBucket), in.Name)
	}
	if usual := spec.Defaults().Data.Window.MinRows; info.Rows < usual {
		in.MinRows = max(1, info.Rows/2) // else the file at hand could never be trained on
	}
	in.Columns, in.Seen = dataset.InferContract(table).Columns, dataset.Describe(table)
	for _, name := range []string{in.Target, in.ID, in.Time} {
		if _, ok := table.Column(name); name != "" && !ok {
			return usagef("%s has no column %q: it has %s", o.data, name, columnNames(in.Columns))
		}
	}
	in.Approver, err = o.actor()
	if err != nil {
		return err
	}
	text, err := spec.Render(in)
	if err != nil {
		return err
	}
	if _, err := o.out.Write(text); err != nil {
		return err
	}
	o.say("%d rows, %d columns; save it as model.yaml, check target, id and time, then: starter validate -f model.yaml --data %s", info.Rows, len(in.Columns), o.data)
	return nil
}

// columnNames lists a file's columns, as many as fit into an error.
func columnNames(columns []spec.ColumnRule) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return clip(oneLine(strings.Join(names, ", ")), 200)
}
