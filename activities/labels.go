package activities

import (
	"context"
	"fmt"
	"strconv"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/spec"
)

// join finds the label of each logged prediction among the accepted files: the rows of the log that have one, and the
// labels as the champion's signature counts them.
func (m *Monitors) join(ctx context.Context, w watched, logged predictions.Window, note func(any)) (rows []int, y []float64, err error) {
	truth := map[string]float64{}
	names, err := m.labelled(ctx, w, logged, note, func(t *dataset.Table, ids []string) error {
		values, err := w.signature.Targets(t)
		if err != nil {
			return err
		}
		for i, id := range ids {
			truth[id] = values[i]
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	for i, name := range names {
		if label, known := truth[name]; known {
			rows, y = append(rows, i), append(y, label)
		}
	}
	return rows, y, nil
}

// labelled hands take the accepted rows that label one of the logged predictions, file by file with the id of each: of
// two rows of one id the first that has a label, as everywhere. It returns the id of each logged row, "" where it has
// none.
func (m *Monitors) labelled(ctx context.Context, w watched, logged predictions.Window, note func(any), take func(t *dataset.Table, ids []string) error) ([]string, error) {
	if logged.Rows == 0 {
		return nil, nil
	}
	contract, err := m.Lake.contract(ctx, w.spec)
	if err != nil {
		return nil, err
	}
	match := predictions.ColumnRow
	if w.matchesPredictions() {
		match = predictions.ColumnID
	}
	logIDs, _ := logged.Log.Column(match)
	spell, open := w.spelling(contract), map[string]bool{}
	spelt := make([]string, len(logIDs.Dict))
	for code, id := range logIDs.Dict {
		spelt[code] = spell(id)
		open[spelt[code]] = true
	}
	names := make([]string, logged.Rows)
	for i, code := range logIDs.Codes {
		if code >= 0 {
			names[i] = spelt[code]
		}
	}
	files, err := m.labelFiles(ctx, w)
	if err != nil {
		return nil, err
	}
	takeFrom := func(name string, t *dataset.Table) error {
		rows, ids, err := w.labelsIn(t, spell, open)
		if err == nil && len(rows) > 0 {
			err = take(t.Select(rows), ids)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	for _, f := range files {
		t, err := m.Lake.readFile(ctx, w.spec, contract, f, note)
		if err != nil {
			return nil, err
		}
		if err := takeFrom(f.Source, t); err != nil {
			return nil, err
		}
	}
	if w.landed {
		err = m.landedFiles(ctx, w, contract, note, takeFrom)
	}
	return names, err
}

// labelFiles are the files that may label what the champion answered: those accepted since it was registered. Earlier ones
// hold what it learned from.
func (m *Monitors) labelFiles(ctx context.Context, w watched) ([]dataset.SnapshotFile, error) {
	head, err := m.Lake.Index(w.model).Head(ctx)
	if err != nil {
		return nil, ledgerError(err)
	}
	after := w.version.RegisteredAt
	if !w.labelsAfter.IsZero() {
		after = w.labelsAfter
	}
	var out []dataset.SnapshotFile
	for _, f := range head.State.Files {
		if f.AcceptedAt.After(after) {
			out = append(out, dataset.SnapshotFile{SHA256: f.SHA256, Source: f.Source})
		}
	}
	return out, nil
}

// labelsIn are the rows of one file that label an open prediction, with its id; it is open no more.
func (w watched) labelsIn(t *dataset.Table, spell func(string) string, open map[string]bool) (rows []int, ids []string, err error) {
	id, ok := t.Column(w.labelColumn())
	if !ok {
		return nil, nil, nil // rows that name no prediction label none: without an id that is every file of a data set
	}
	target, ok := t.Column(w.spec.Data.Target)
	if !ok {
		return nil, nil, permanent(ErrorData, fmt.Errorf("no target column %s: the file has %v", w.spec.Data.Target, t.Names()))
	}
	text := inference.Labeller(id)
	for i := range t.Rows {
		if id.Null(i) || target.Null(i) {
			continue
		}
		if name := spell(text(i)); open[name] {
			delete(open, name)
			rows, ids = append(rows, i), append(ids, name)
		}
	}
	return rows, ids, nil
}

func (w watched) matchesPredictions() bool { return w.spec.Data.Labels.Match == "prediction_id" }

// labelColumn is the files' column that names a prediction.
func (w watched) labelColumn() string {
	if w.matchesPredictions() {
		return predictions.ColumnID
	}
	return w.spec.Data.ID
}

// spelling makes ids comparable. Text is its own; a number that a file has as 20130101 may come in a request as
// 20130101.0 or 2.0130101e7.
func (w watched) spelling(contract *spec.Contract) func(id string) string {
	same := func(id string) string { return id }
	if contract == nil {
		return same
	}
	for _, rule := range contract.Columns {
		if rule.Name == w.labelColumn() && (rule.Type == dataset.Number.String() || rule.Type == dataset.Integer.String()) {
			return func(id string) string {
				v, err := strconv.ParseFloat(id, 64)
				if err != nil {
					return id
				}
				return strconv.FormatFloat(v, 'f', -1, 64)
			}
		}
	}
	return same
}
