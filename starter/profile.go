package main

import (
	"context"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/report"
	"github.com/leanloop/leanloop/internal/spec"
)

// profileOptions are starter profile's.
type profileOptions struct {
	*app
	data     string
	input    string // the file's format; "": by its name
	contract string // a spec
	html     string
}

func newProfile(a *app, run func(context.Context, *profileOptions) error) *cobra.Command {
	o := &profileOptions{app: a}
	cmd := &cobra.Command{
		Use: "profile FILE", Short: "Sum up a data file column by column, offline", Args: cobra.ExactArgs(1),
		Long: `Read a data file once and sum up each column: values and nulls, how many differ, range, mean, quantiles, the most
frequent ones. CSV (plain, gzip, zstd) or Parquet: a path, an s3:// URL, or - for standard input. Memory doesn't grow
with the file: in large columns distinct values are estimated (marked ~) and quantiles are those of a sketch.

-o json has the whole profile, in the form in which shards merge. With --contract the columns are read as the spec's
contract declares them; without, what they are is inferred from all their cells.

Exit code 3: the file is no table. 2: usage.`,
		Example: `  starter profile sales.csv.gz
  starter profile s3://lake/sales/2026-01.parquet --html profile.html
  zcat sales.csv.gz | starter profile - --format csv -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.data = args[0]
			if err := checkPage(o.html, o.data, o.contract); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.input, "format", "", formatFlag)
	f.StringVar(&o.contract, "contract", "", "a spec (model.yaml) with a contract that says what the columns are")
	f.StringVar(&o.html, "html", "", pageFlag)
	return cmd
}

// profileView is the result.
type profileView struct {
	File    string           `json:"file"`
	SHA256  string           `json:"sha256"`
	Bytes   int64            `json:"bytes"`
	Ignored []string         `json:"ignored_columns,omitempty"` // that the contract doesn't list
	Problem []string         `json:"problems,omitempty"`        // cells that aren't of their declared type, and count as null
	Profile *profile.Profile `json:"profile"`
}

func runProfile(ctx context.Context, o *profileOptions) error {
	var contract *spec.Contract
	if o.contract != "" {
		m, err := spec.Load(o.contract)
		if err != nil {
			return err
		}
		if contract = m.Data.Contract; contract == nil {
			return usagef("--contract %s: the spec has no data.contract", o.contract)
		}
	}
	out, info, err := o.profiled(ctx, contract)
	if err != nil {
		return err
	}
	if err := writePage(o.html, func(w io.Writer) error {
		return report.Profile(w, report.ProfilePage{Subject: out.File, At: o.now(), Info: info, Profile: out.Profile})
	}); err != nil {
		return err
	}
	if o.flags.format == formatTable {
		o.warn(out.Problem)
	}
	return o.print(out, func(p *page) { profileTable(p, out) })
}

// profiled reads the file. What was kept of a pipe is gone when it returns, whatever becomes of what is printed.
func (o *profileOptions) profiled(ctx context.Context, contract *spec.Contract) (out profileView, info dataset.Info, err error) {
	f, err := o.dataFile(ctx, "", o.data, o.input)
	if err != nil {
		return out, info, err
	}
	defer f.close()
	watched := o.reading()
	builder := profile.NewBuilder(profile.Options{})
	info, found, err := dataset.Scan(ctx, f.source, dataset.ReadOptions{
		Name: f.name, Format: f.format, Contract: contract, Progress: watched.of(f),
	}, builder)
	watched.end()
	if err != nil {
		return out, info, err // it names the file
	}
	p, err := builder.Profile()
	if err != nil {
		return out, info, err
	}
	out = profileView{File: f.name, SHA256: info.SHA256, Bytes: info.Bytes, Ignored: info.Ignored, Profile: p}
	for _, failure := range found.Failures {
		out.Problem = append(out.Problem, failure.String())
	}
	return out, info, nil
}

func profileTable(p *page, v profileView) {
	p.line("%s: %d rows, %d columns, %s, sha256 %s", oneLine(v.File), v.Profile.Rows, len(v.Profile.Columns), size(v.Bytes), short(v.SHA256))
	t := newTable("COLUMN", "KIND", "NULLS", "DISTINCT", "MIN", "MEDIAN", "MAX", "MEAN", "STD", "MOST FREQUENT").alignRight(2, 3, 4, 5, 6, 7, 8)
	for i := range v.Profile.Columns {
		t.add(profileRow(&v.Profile.Columns[i])...)
	}
	p.table(t)
	if len(v.Ignored) > 0 {
		p.line("columns that the contract doesn't list, and are ignored: %s", oneLine(strings.Join(v.Ignored, ", ")))
	}
}

func profileRow(c *profile.Column) []any {
	distinct := strconv.FormatInt(c.Distinct, 10)
	if c.Estimated {
		distinct = "~" + distinct
	}
	nulls := cell{text: "0"}
	if c.Nulls > 0 {
		nulls.text = shareText(float64(c.Nulls) / float64(c.Count+c.Nulls))
	}
	if c.Count == 0 {
		nulls.tone = toneWarn
	}
	low, middle, high, mean, std := "-", "-", "-", "-", "-"
	switch n := c.Numbers; {
	case c.Oldest != nil && c.Newest != nil: // its numbers are seconds
		low, high = instantOf(*c.Oldest), instantOf(*c.Newest)
		middle = instantOf(time.Unix(int64(math.Floor(c.Quantile(0.5))), 0))
	case n != nil:
		low, high, mean, std = brief(n.Min), brief(n.Max), brief(n.Mean), brief(n.Std)
		middle = brief(c.Quantile(0.5))
	}
	return []any{clip(c.Name, 40), c.Kind, nulls, distinct, low, middle, high, mean, std, frequent(c)}
}

// shareText is a share with three digits. What isn't nothing is never 0%, and what isn't all never 100%.
func shareText(share float64) string {
	switch {
	case share > 0 && share < 1e-5:
		return "<0.001%"
	case share >= 0.9995 && share < 1:
		return ">99.9%"
	}
	return strconv.FormatFloat(100*share, 'g', 3, 64) + "%"
}

// brief is a number in a narrow cell: whole ones in full, others with five digits.
func brief(x float64) string {
	if x == float64(int64(x)) && x > -1e15 && x < 1e15 {
		return strconv.FormatInt(int64(x), 10)
	}
	return number(x)
}

// instantOf is a time in a narrow cell.
func instantOf(t time.Time) string {
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.UTC().Format(time.DateOnly)
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// frequent are a column's most frequent values, where they repeat.
func frequent(c *profile.Column) string {
	if c.Oldest != nil {
		return ""
	}
	var parts []string
	for _, v := range c.Top[:min(len(c.Top), 3)] {
		if v.Count > 1 {
			parts = append(parts, clip(v.Value, 20)+" "+shareText(float64(v.Count)/float64(c.Count)))
		}
	}
	return strings.Join(parts, ", ")
}
