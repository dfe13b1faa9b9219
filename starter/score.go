package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/devstack"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/inference/remote"
	"github.com/leanloop/leanloop/internal/onnx"
	"github.com/leanloop/leanloop/internal/onnx/hosts"
	"github.com/leanloop/leanloop/internal/spec"
)

// scoreOptions are starter score's.
type scoreOptions struct {
	*app
	artifact  string
	signature string
	data      string
	file      string   // the spec whose predict.command scores
	predict   string   // the program that scores
	arguments []string // of it
	hosts     []string // servers that may score
}

func newScore(a *app, run func(context.Context, *scoreOptions) error) *cobra.Command {
	o := &scoreOptions{app: a}
	cmd := &cobra.Command{
		Use: "score --artifact MODEL --data FILE [-f model.yaml | --predict PROGRAM ARGUMENTS...]", Short: "Score a file with a model, offline",
		Args: cobra.ArbitraryArgs,
		Long: `Score the rows of a data file with a model file, without any server.

MODEL is a model.json (XGBoost's, or a built-in trainer's), a model.onnx, or a folder that holds one and its
signature.json. ONNX files need ONNX Runtime's library (ONNXRUNTIME_LIB names it) and their signature. With a
signature, columns are found and checked by it, and answers are what a gateway would give: the probability of the
positive class, one probability per class, or the value. Without one, columns are the model's own feature names, and
answers are what the model's objective says. Columns that are no features are read past; an empty cell is missing.

A model that Go doesn't read (a pickle, a checkpoint) is scored by its own program, as docs/trainer-contract.md has it:
predict.command of the spec that -f names, in the folder beside it, or --predict with its arguments, in this one. Then
MODEL is the program's SM_MODEL_DIR, a version's artifact folder or one file, and a signature.json is needed. What the
program prints is shown as it comes, on standard error. A model on another server (remote.json) is asked there, where
--remote-hosts allows it.`,
		Example: `  starter score --artifact model.json --data rows.csv -o json
  starter score --artifact artifacts/0a1b --data rows.csv.gz
  starter score --artifact model.onnx --signature signature.json --data rows.csv
  starter score --artifact artifacts/0a1b --data rows.csv -f model.yaml
  starter score --artifact model.pkl --signature signature.json --data rows.csv --predict python3 predict.py`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.arguments = args
			if err := o.checkProgram(); err != nil {
				return err
			}
			switch {
			case o.artifact == "":
				return usagef("which model? --artifact model.json")
			case o.data == "":
				return usagef("which rows? --data FILE")
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.artifact, "artifact", "", "a model.json or model.onnx, or a folder that holds one and its signature.json")
	f.StringVar(&o.signature, "signature", "", "the model's signature.json, where it lies elsewhere")
	f.StringVar(&o.data, "data", "", "the rows")
	f.StringVarP(&o.file, "file", "f", "", "the spec whose predict.command scores")
	f.StringVar(&o.predict, "predict", "", "the program that scores; its arguments follow, after -- where they begin with a dash")
	f.StringSliceVar(&o.hosts, "remote-hosts", nil, "host or host:port of servers that may score a version of format remote")
	return cmd
}

// scored is the result.
type scored struct {
	Predictions any      `json:"predictions"` // a number per row, or a list of one per class
	Rows        int      `json:"rows"`
	Classes     []string `json:"classes,omitempty"` // of a list, in its order; of a signature's binary model, negative first
	Ignored     []string `json:"ignored_columns,omitempty"`
}

func runScore(ctx context.Context, o *scoreOptions) error {
	var out scored
	flat, err := o.score(ctx, &out)
	if err != nil {
		return err
	}
	out.Predictions = nested(flat, out.Rows)
	return o.print(out, func(p *page) { scoredTable(p, flat, out) })
}

// score gives the rows' scores, row-major.
func (o *scoreOptions) score(ctx context.Context, out *scored) ([]float64, error) {
	if o.file != "" || o.predict != "" {
		return o.byCommand(ctx, out)
	}
	files, err := o.files()
	if err != nil {
		return nil, err
	}
	if _, ok := files[inference.SignatureFile]; ok {
		return o.withSignature(ctx, files, out)
	}
	if _, ok := files[inference.ONNXFile]; ok {
		return nil, usagef("%s: an ONNX file doesn't say what its inputs and outputs mean: name its signature with --signature signature.json", o.artifact)
	}
	return o.withoutSignature(ctx, files[inference.ModelFile], out)
}

// files are the model's, and its signature's where there is one.
func (o *scoreOptions) files() (map[string][]byte, error) {
	info, err := os.Stat(o.artifact)
	folder := err == nil && info.IsDir()
	signature := o.signature
	if signature == "" && folder {
		signature = filepath.Join(o.artifact, inference.SignatureFile)
	}
	files, format := map[string][]byte{}, ""
	if signature != "" {
		raw, err := os.ReadFile(signature)
		switch {
		case err == nil:
			files[inference.SignatureFile] = raw
		case o.signature != "" || !errors.Is(err, fs.ErrNotExist):
			return nil, usagef("--signature: %w", err)
		}
		if s, err := inference.ParseSignature(raw); err == nil { // else its loader says what is wrong
			format = s.Format
		}
	}
	if format == inference.FormatCommand {
		return nil, usagef("%s is scored by a program of its own: say which by -f model.yaml, or --predict PROGRAM ARGUMENTS...", o.artifact)
	}
	model, name := o.artifact, inference.ModelFileOf(format)
	if format == "" && (folder && isRegular(filepath.Join(model, inference.ONNXFile)) || filepath.Ext(model) == filepath.Ext(inference.ONNXFile)) {
		name = inference.ONNXFile
	}
	if folder {
		model = filepath.Join(model, name)
	}
	if files[name], err = os.ReadFile(model); err != nil {
		return nil, usagef("--artifact: %w", err)
	}
	return files, nil
}

func isRegular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// onnx runs ONNX models: one process is enough for a file.
func (o *scoreOptions) onnx() (onnx.Runtime, error) {
	c, err := hosts.ConfigFrom(os.Getenv)
	if err != nil {
		return nil, usagef("%w", err)
	}
	c.Processes, c.Build = 1, func(ctx context.Context) (string, error) { return devstack.BuildHost(ctx, o.errOut) }
	return hosts.New(c), nil
}

// withSignature answers as a gateway would.
func (o *scoreOptions) withSignature(ctx context.Context, files map[string][]byte, out *scored) (_ []float64, err error) {
	loader, end, err := o.loader()
	if err != nil {
		return nil, err
	}
	defer end()
	model, err := loader.Load(ctx, files)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.artifact, err)
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	signature := model.Signature
	table, err := o.rows(ctx, columnRules(signature), out)
	if err != nil {
		return nil, err
	}
	if err := model.CheckCategories(table); err != nil {
		return nil, fmt.Errorf("%s: %w (signature.json refuses other categories; a gateway answers 400)", o.data, err)
	}
	out.Classes = signature.Classes
	return model.PredictTable(ctx, table)
}

// loader reads versions, and may ask the servers that the command line allows.
func (o *scoreOptions) loader() (*inference.Loader, func(), error) {
	servers, err := remote.New(remote.Config{Hosts: o.hosts})
	if err != nil {
		return nil, nil, usagef("--remote-hosts: %w", err)
	}
	runtime, err := o.onnx()
	if err != nil {
		return nil, nil, err
	}
	return &inference.Loader{ONNX: runtime, Remote: servers}, servers.Close, nil
}

// withoutSignature answers as the model's own library would.
func (o *scoreOptions) withoutSignature(ctx context.Context, raw []byte, out *scored) ([]float64, error) {
	file, err := inference.Inspect(raw, inference.DefaultLimits())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.artifact, err)
	}
	if file.Features == nil {
		return nil, usagef("%s doesn't name its %d features: say which columns they are with --signature signature.json", o.artifact, file.Inputs)
	}
	rules := make([]spec.ColumnRule, file.Inputs)
	for i, name := range file.Features {
		rules[i] = spec.ColumnRule{Name: name, Type: dataset.Number.String(), Nullable: true}
		if i < len(file.Categories) && file.Categories[i] != nil {
			rules[i].Type = dataset.Category.String()
		}
	}
	table, err := o.rows(ctx, rules, out)
	if isA[*dataset.ContractError](err) {
		return nil, fmt.Errorf("%w; this was read without a signature.json (--signature, or the folder as --artifact), so a feature is a number unless the model file holds its categories", err)
	}
	if err != nil {
		return nil, err
	}
	x := make([]float64, table.Rows*file.Inputs)
	for i := range table.Columns {
		codes := map[string]float64{}
		if i < len(file.Categories) {
			for code, name := range file.Categories[i] {
				codes[name] = float64(code)
			}
		}
		encode(&table.Columns[i], codes, x[i:], file.Inputs)
	}
	flat := make([]float64, table.Rows*file.Scorer.Outputs())
	if err := file.Scorer.Score(x, table.Rows, flat); err != nil {
		return nil, err
	}
	if out.Classes = file.Classes; out.Classes == nil && file.Scorer.Outputs() > 1 {
		for k := range file.Scorer.Outputs() {
			out.Classes = append(out.Classes, strconv.Itoa(k))
		}
	}
	return flat, nil
}

// encode writes a column into every width-th place of x; a category that the model doesn't know is missing.
func encode(c *dataset.Column, codes map[string]float64, x []float64, width int) {
	for row, v := range c.Floats {
		x[row*width] = v
	}
	for row, code := range c.Codes {
		x[row*width] = math.NaN()
		if code < 0 {
			continue
		}
		if known, ok := codes[c.Dict[code]]; ok {
			x[row*width] = known
		}
	}
}

// rows reads the features' columns.
func (o *scoreOptions) rows(ctx context.Context, rules []spec.ColumnRule, out *scored) (*dataset.Table, error) {
	f, err := os.Open(o.data)
	if err != nil {
		return nil, usagef("--data: %w", err)
	}
	defer func() { _ = f.Close() }()
	table, info, report, err := dataset.Read(ctx, f, dataset.ReadOptions{Name: o.data, Contract: &spec.Contract{Columns: rules}})
	if err == nil {
		err = report.Error()
	}
	if err != nil {
		return nil, err
	}
	out.Rows, out.Ignored = table.Rows, info.Ignored
	return table, nil
}

// nested is a number per row, or a list per row where there are several.
func nested(flat []float64, rows int) any {
	width := len(flat) / max(rows, 1)
	if width <= 1 {
		return finiteOrNull(flat)
	}
	out := make([][]*float64, rows)
	for i := range out {
		out[i] = finiteOrNull(flat[i*width : (i+1)*width])
	}
	return out
}

// finiteOrNull has null for what JSON has no number for.
func finiteOrNull(values []float64) []*float64 {
	out := make([]*float64, len(values))
	for i := range values {
		if !math.IsNaN(values[i]) && !math.IsInf(values[i], 0) {
			out[i] = &values[i]
		}
	}
	return out
}

// scoredTable lists the first rows.
func scoredTable(p *page, flat []float64, s scored) {
	const shown = 20
	width := len(flat) / max(s.Rows, 1)
	header := []string{"row"}
	if width > 1 {
		header = append(header, s.Classes...)
	} else {
		header = append(header, "prediction")
	}
	t := newTable(header...)
	for i := range header {
		t.alignRight(i)
	}
	for row := range min(s.Rows, shown) {
		cells := []any{strconv.Itoa(row + 1)}
		for _, v := range flat[row*width : (row+1)*width] {
			cells = append(cells, strconv.FormatFloat(v, 'g', 6, 64))
		}
		t.add(cells...)
	}
	p.table(t)
	if s.Rows > shown {
		p.line("%d more rows: -o json has them all", s.Rows-shown)
	}
}
