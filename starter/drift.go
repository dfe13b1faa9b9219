package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/report"
	"github.com/leanloop/leanloop/internal/spec"
)

// methodAuto is what --method calls the default choice.
const methodAuto = "auto"

// driftOptions are starter drift's.
type driftOptions struct {
	*app
	reference, current string
	input              string // both files' format; "": by their names
	file               string // a spec
	columns, exclude   []string
	compare            drift.Options          // of the flags
	given              func(flag string) bool // whether the command line has it
	html               string
}

const driftHelp = `Say whether the rows of one file come from the same distribution as those of another, column by column, without
any server. CSV (plain, gzip, zstd) or Parquet: a path, an s3:// URL, or - for standard input. Both files are read at
the same time and held in memory, some 30 bytes a value.

Each column is compared by the test that suits its values and the reference's size, with PSI beside it; --method takes
one test for every column that it suits, or all of them, a row each. docs/drift.md defines the tests, the choice and
the limits. Columns that would say nothing are left out, with the reason: names of rows, row counters, a time that
only moves on. --columns compares them all the same. With -f the columns are the model's features, of the contract's
types, the target and what monitor.drift excludes beside them uncounted, and the limits those of monitor.drift, unless
a flag sets them.

The data set has drifted when more than --max-drifted columns have (or more than --max-share of them), or any PSI is
over --psi. A column that one file lacks has drifted. Without a spec and either flag, all columns of a file are enough.

Exit code 3: the data set has drifted. 2: usage. 1: a file can't be read, or has too few rows to tell.`

func newDrift(a *app, run func(context.Context, *driftOptions) error) *cobra.Command {
	o := &driftOptions{app: a}
	cmd := &cobra.Command{
		Use: "drift --reference A --current B", Short: "Compare two data files column by column, offline", Args: cobra.NoArgs,
		Long: driftHelp,
		Example: `  starter drift --reference january.csv.gz --current february.csv.gz
  starter drift --reference train.parquet --current today.parquet -f model.yaml --html drift.html
  starter drift --reference a.csv --current b.csv --method all -o json
  starter drift --reference a.csv --current b.csv --columns age,plan --method ks --correction bh`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.given = cmd.Flags().Changed
			if err := o.check(); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	defaults := drift.OptionsOf(spec.Defaults().Monitor.Drift)
	f := cmd.Flags()
	f.StringVar(&o.reference, "reference", "", "the file to compare with: what the model was trained on, or last month")
	f.StringVar(&o.current, "current", "", "the file in question")
	f.StringVar(&o.input, "format", "", formatFlag)
	f.StringVarP(&o.file, "file", "f", "", "a spec: its features, contract and monitor.drift")
	f.StringSliceVar(&o.columns, "columns", nil, "compare these only")
	f.StringSliceVar(&o.exclude, "exclude", nil, "compare all but these")
	f.StringVar(&o.compare.Method, "method", methodAuto, strings.Join(methodNames(), ", "))
	f.StringVar(&o.compare.Correction, "correction", "", drift.CorrectionBH+": hold the p-values together to a false discovery rate (Benjamini-Hochberg)")
	f.IntVar(&o.compare.MaxDrifted, "max-drifted", defaults.MaxDrifted, "more drifted columns than this are drift of the data set")
	f.Float64Var(&o.compare.MaxShare, "max-share", 0, "a larger share of drifted columns than this is, 0 to 1; instead of their number")
	f.Float64Var(&o.compare.PSI, "psi", defaults.PSI, "a PSI over this is, of any column; 0: none")
	f.IntVar(&o.compare.MinRows, "min-rows", 1, "fewer current rows than this: no conclusion")
	f.StringVar(&o.html, "html", "", pageFlag)
	return cmd
}

// methodNames are what --method takes.
func methodNames() []string {
	return append([]string{methodAuto, drift.MethodAll}, drift.Methods()...)
}

// check refuses what no data could make right.
func (o *driftOptions) check() error {
	switch {
	case o.reference == "" || o.current == "":
		return usagef("compare what with what? --reference FILE --current FILE")
	case o.reference == standardInput && o.current == standardInput:
		return usagef("--reference - --current -: only one of them can be standard input")
	case len(o.columns) > 0 && len(o.exclude) > 0:
		return usagef("--columns and --exclude: --columns alone says which are compared")
	case o.compare.MinRows < 0:
		return usagef("--min-rows %d: want 1 or more", o.compare.MinRows)
	case o.given("max-drifted") && o.given("max-share"):
		return usagef("--max-drifted and --max-share: a number of columns or a share of them, not both")
	}
	if o.compare.Method == methodAuto {
		o.compare.Method = ""
	}
	if err := o.compare.Validate(); err != nil {
		return usagef("%s", strings.TrimPrefix(err.Error(), "drift: "))
	}
	return checkPage(o.html, o.reference, o.current, o.file)
}

// limits are the options to compare a number of features with: the spec's where it has them and the command line
// doesn't.
func (o *driftOptions) limits(m *spec.Model, features int) drift.Options {
	if m == nil {
		out := o.compare
		if !o.given("max-drifted") && !o.given("max-share") {
			out.MaxDrifted = min(out.MaxDrifted, features-1) // all columns of a narrow file are enough
		}
		return out
	}
	out := drift.OptionsOf(m.Monitor.Drift)
	if o.given("method") {
		out.Method, out.Methods = o.compare.Method, nil
	}
	if o.given("correction") {
		out.Correction = o.compare.Correction
	}
	if o.given("max-drifted") {
		out.MaxDrifted, out.MaxShare = o.compare.MaxDrifted, 0
	}
	if o.given("max-share") {
		out.MaxShare = o.compare.MaxShare
	}
	if o.given("psi") {
		out.PSI = o.compare.PSI
	}
	if o.given("min-rows") {
		out.MinRows = o.compare.MinRows
	}
	return out
}

func runDrift(ctx context.Context, o *driftOptions) error {
	var m *spec.Model
	if o.file != "" {
		var err error
		if m, err = spec.Load(o.file); err != nil {
			return err
		}
	}
	ref, cur, err := o.readBoth(ctx, m)
	if err != nil {
		return err
	}
	o.warn(slices.Concat(ref.warnings, cur.warnings))
	chosen, err := choose(ref.table, cur.table, m, o.columns, o.exclude)
	if err != nil {
		return err
	}
	options := o.limits(m, len(chosen.features))
	options.Columns, options.Extra, options.Methods = chosen.features, chosen.extra, chosen.methods(options.Methods)
	if len(o.columns) > 0 {
		options.Exclude = nil // who names a column wants it to count
	}
	result, err := interruptible(ctx, func() (drift.Result, error) {
		result, err := drift.CompareTables(ref.table, cur.table, options)
		if err != nil {
			return result, usagef("%s", strings.TrimPrefix(err.Error(), "drift: "))
		}
		return result, nil
	})
	if err != nil {
		return err
	}
	out := newDriftView(result, ref, cur, chosen)
	if err := o.draw(m, ref, cur, chosen, result); err != nil {
		return err
	}
	if err := o.print(out, func(p *page) { driftTable(p, out, result) }); err != nil {
		return err
	}
	switch {
	case result.Inconclusive:
		return fmt.Errorf("%s: too few rows for a conclusion (--min-rows sets how many it takes)", o.current)
	case result.Alert:
		return &driftError{current: o.current, reference: o.reference}
	}
	return nil
}

// maxSideName is how long a file's name may be to stand beside every drawing of the report; its head has both in full.
const maxSideName = 24

// draw writes the report that --html asks for.
func (o *driftOptions) draw(m *spec.Model, ref, cur sideFile, chosen *choice, result drift.Result) error {
	if o.html == "" {
		return nil
	}
	d := report.DriftPage{
		Subject: cur.name + " against " + ref.name, At: o.now(), Result: result,
	}
	if m != nil {
		d.Title, d.Target = m.Metadata.Name, m.Data.Target
	}
	if a, b := filepath.Base(ref.name), filepath.Base(cur.name); a != b && max(len(a), len(b)) <= maxSideName {
		d.ReferenceName, d.CurrentName = a, b
	}
	for _, l := range chosen.left {
		d.LeftOut = append(d.LeftOut, report.LeftOut(l))
	}
	var err error
	if d.Reference, err = profile.Of(chosen.of(ref.table), profile.Options{}); err != nil {
		return err
	}
	if d.Current, err = profile.Of(chosen.of(cur.table), profile.Options{Against: d.Reference}); err != nil {
		return err
	}
	return writePage(o.html, func(w io.Writer) error { return report.Drift(w, d) })
}

// sideFile is one side, read.
type sideFile struct {
	*dataFile
	table    *dataset.Table
	info     dataset.Info
	warnings []string // of cells that aren't of their declared type
}

// readBoth reads the two files at the same time.
func (o *driftOptions) readBoth(ctx context.Context, m *spec.Model) (ref, cur sideFile, err error) {
	if ref.dataFile, err = o.dataFile(ctx, "--reference", o.reference, o.input); err != nil {
		return ref, cur, err
	}
	defer ref.close()
	if cur.dataFile, err = o.dataFile(ctx, "--current", o.current, o.input); err != nil {
		return ref, cur, err
	}
	defer cur.close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watched := o.app.reading()
	defer watched.end()
	errs := make(chan error, 2)
	for _, side := range []*sideFile{&ref, &cur} {
		progress := watched.of(side.dataFile)
		go func() {
			err := o.read(ctx, side, m, progress)
			if err != nil {
				stop() // the other needn't be read to its end
			}
			errs <- err
		}()
	}
	return ref, cur, worse(<-errs, <-errs)
}

// worse is the error that ended two readers: not that one was told to stop since the other failed.
func worse(a, b error) error {
	if a == nil || (errors.Is(a, context.Canceled) && b != nil) {
		return b
	}
	return a
}

// read reads one side. A file that is no table isn't drift: its error has a code of its own.
func (o *driftOptions) read(ctx context.Context, side *sideFile, m *spec.Model, progress func(int, int64)) error {
	options := dataset.ReadOptions{Name: side.name, Format: side.format, Progress: progress}
	if m != nil {
		options.Contract = m.Data.Contract
	}
	var report *dataset.Report
	var err error
	side.table, side.info, report, err = dataset.ReadSource(ctx, side.source, options)
	if isA[*dataset.FormatError](err) {
		return errors.New(err.Error())
	}
	if err != nil {
		return err
	}
	for _, f := range report.Failures {
		if f.Rule == dataset.RuleType {
			side.warnings = append(side.warnings, fmt.Sprintf("%s: %s: they count as missing", side.name, f))
		}
	}
	return nil
}

// driftError says that a data set has drifted; its details were printed.
type driftError struct{ current, reference string }

func (e *driftError) Error() string {
	return fmt.Sprintf("%s has drifted from %s", e.current, e.reference)
}
