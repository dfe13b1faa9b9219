package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/spec"
)

// formatCSV is an output of starter predict.
const formatCSV = "csv"

// predictOptions are starter predict's.
type predictOptions struct {
	*app
	model   string
	data    string
	input   string
	gateway string
	batch   int
}

func newPredict(a *app, run func(context.Context, *predictOptions) error) *cobra.Command {
	o := &predictOptions{app: a}
	cmd := &cobra.Command{
		Use: "predict MODEL --data FILE", Short: "Ask a gateway for predictions on a file", Args: cobra.ExactArgs(1),
		Annotations: map[string]string{moreFormats: formatCSV},
		Long: `Send the rows of a data file to a gateway, a batch at a time, and print its answers.

The gateway is found by its heartbeat, or named by --gateway. It says which columns the model reads; they are read as
training reads them, an empty cell is missing, and columns that nobody reads stay here. The rows are real requests: they
are logged and measured, and while a canary runs some of them are the challenger's. To try a model file instead, see
starter score.`,
		Example: `  starter predict flight-delay --data rows.csv -o csv > answers.csv
  starter predict flight-delay --data rows.parquet --gateway http://10.0.0.5:8080 -o json`,
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			switch {
			case o.data == "":
				return usagef("which rows? --data FILE")
			case o.batch < 1:
				return usagef("--batch %d: want 1 or more", o.batch)
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "the rows: a file, an s3:// URL, or - for standard input")
	f.StringVar(&o.input, "format", "", formatFlag)
	f.StringVar(&o.gateway, "gateway", "", "URL of a gateway; default: one that is alive by its heartbeat")
	f.IntVar(&o.batch, "batch", 1000, "rows of one request at most")
	return cmd
}

// predicted is the result.
type predicted struct {
	Model       string       `json:"model"`
	Gateway     string       `json:"gateway"`
	Rows        int          `json:"rows"`
	Predictions []prediction `json:"predictions"`
}

// prediction is a gateway's answer to one row.
type prediction struct {
	Version    int                `json:"version"`
	Arm        string             `json:"arm"`
	ID         string             `json:"prediction_id"`
	Prediction any                `json:"prediction"` // a class, or a number
	Score      float64            `json:"score"`
	Scores     map[string]float64 `json:"scores,omitempty"`
	Fallback   bool               `json:"fallback,omitempty"`
}

func runPredict(ctx context.Context, o *predictOptions) error {
	if err := registry.CheckName("model", o.model); err != nil {
		return usagef("%w", err)
	}
	f, err := o.dataFile(ctx, "--data", o.data, o.input)
	if err != nil {
		return err
	}
	defer f.close()
	q := &predictor{model: o.model, client: &http.Client{Timeout: time.Minute}}
	if q.url, q.columns, q.most, err = o.findGateway(ctx, q.client); err != nil {
		return err
	}
	q.most = min(q.most, o.batch)
	read := dataset.ReadOptions{Name: f.name, Format: f.format, Contract: &spec.Contract{Columns: q.columns}}
	// Nothing is asked before the whole file is known to be readable: half a file's predictions help nobody.
	_, report, err := dataset.Scan(ctx, f.source, read, discarding{})
	if err == nil {
		err = report.Error()
	}
	if err != nil {
		return err
	}
	out := predicted{Model: o.model, Gateway: q.url, Predictions: []prediction{}}
	q.take = func(answers []prediction) error {
		out.Predictions = append(out.Predictions, answers...)
		return nil
	}
	if o.flags.format == formatCSV {
		table := &answersCSV{out: csv.NewWriter(o.out)}
		q.take = table.write
	}
	if _, _, err := dataset.Scan(ctx, f.source, read, asking{q, ctx}); err != nil {
		return err
	}
	if err := q.send(ctx); err != nil {
		return err
	}
	if o.flags.format == formatCSV {
		return nil
	}
	out.Rows = len(out.Predictions)
	return o.print(out, func(p *page) { predictedTable(p, out) })
}

// findGateway gives a gateway that serves the model, the columns that it reads, and how many rows it takes at once.
func (o *predictOptions) findGateway(ctx context.Context, client *http.Client) (url string, columns []spec.ColumnRule, most int, err error) {
	candidates := []string{o.gateway}
	if o.gateway != "" {
		if !isURL(o.gateway) {
			return "", nil, 0, usagef("--gateway %q: want a URL, say http://10.0.0.5:8080", o.gateway)
		}
	} else {
		if candidates, err = o.liveGateways(ctx); err != nil {
			return "", nil, 0, err
		}
	}
	for _, candidate := range candidates { // the first that answers
		url = strings.TrimRight(candidate, "/")
		if columns, most, err = describedColumns(ctx, client, url, o.model); err == nil {
			return url, columns, most, nil
		}
	}
	return "", nil, 0, err
}

func (o *predictOptions) liveGateways(ctx context.Context) ([]string, error) {
	store, err := o.store(ctx)
	if err != nil {
		return nil, err
	}
	beats, err := registry.Heartbeats(ctx, store)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, h := range registry.Live(beats, o.now()) {
		if h.Address != "" && (len(h.Only) == 0 || slices.Contains(h.Only, o.model)) {
			found = append(found, h.Address)
		}
	}
	if len(found) == 0 {
		return nil, notFound("a live gateway that serves "+o.model, "name one by --gateway http://HOST:8080")
	}
	return found, nil
}

// describedColumns reads a gateway's own description of a model's rows.
func describedColumns(ctx context.Context, client *http.Client, url, model string) ([]spec.ColumnRule, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/openapi.json", nil)
	if err != nil {
		return nil, 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Required   []string
				Properties map[string]map[string]any
				OneOf      []struct {
					Properties map[string]struct{ MaxItems int }
				}
			}
		}
	}
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("%s/openapi.json answered %s: is this a gateway?", url, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 256<<20)).Decode(&doc); err != nil {
		return nil, 0, fmt.Errorf("%s/openapi.json: %w", url, err)
	}
	row, ok := doc.Components.Schemas[model+".row"]
	if !ok {
		return nil, 0, notFound("model "+model+" at "+url, "`starter list` names those there are; one without a champion has no predictions")
	}
	most := 1
	for _, form := range doc.Components.Schemas[model+".request"].OneOf {
		most = max(most, form.Properties["instances"].MaxItems)
	}
	var columns []spec.ColumnRule
	for _, name := range slices.Sorted(maps.Keys(row.Properties)) {
		kind, _ := row.Properties[name][serving.KindKey].(string)
		switch kind {
		case "":
			continue
		case serving.KindOfKey:
			kind = dataset.Text.String()
		}
		columns = append(columns, spec.ColumnRule{Name: name, Type: kind, Nullable: true, Optional: !slices.Contains(row.Required, name)})
	}
	return columns, most, nil
}

// answersCSV writes answers as they come, in the rows' order. A class that a spreadsheet would run is escaped.
type answersCSV struct {
	out     *csv.Writer
	classes []string // of a multiclass model, sorted
	begun   bool
}

func (w *answersCSV) write(answers []prediction) error {
	if !w.begun {
		w.begun = true
		w.classes = slices.Sorted(maps.Keys(answers[0].Scores))
		header := []string{"prediction_id", "version", "arm", "prediction", "score"}
		for _, class := range w.classes {
			header = append(header, dataset.EscapeFormula("score "+class))
		}
		if err := w.out.Write(header); err != nil {
			return err
		}
	}
	for _, p := range answers {
		cells := []string{p.ID, strconv.Itoa(p.Version), p.Arm, dataset.EscapeFormula(p.label()), dataset.FormatNumber(p.Score)}
		for _, class := range w.classes {
			cells = append(cells, dataset.FormatNumber(p.Scores[class]))
		}
		if err := w.out.Write(cells); err != nil {
			return err
		}
	}
	w.out.Flush()
	return w.out.Error()
}

// label is the predicted class, or the value.
func (p prediction) label() string {
	if v, ok := p.Prediction.(float64); ok {
		return dataset.FormatNumber(v)
	}
	return fmt.Sprint(p.Prediction)
}

// predictedTable lists the first rows.
func predictedTable(p *page, out predicted) {
	const shown = 20
	t := newTable("row", "prediction", "score", "version", "arm", "prediction id").alignRight(0, 2, 3)
	for i, a := range out.Predictions[:min(len(out.Predictions), shown)] {
		t.add(strconv.Itoa(i+1), a.label(), number(a.Score), version(a.Version), a.Arm, a.ID)
	}
	p.table(t)
	if out.Rows > shown {
		p.line("%d more rows: -o csv or -o json has them all", out.Rows-shown)
	}
}
