// Package predictions is the layout of the prediction log: where a part lies, which columns it has, and how a window of
// it is read back. Gateways write parts, monitors read them; both go by this file.
//
// A part is one gzipped CSV: predictions/<model>/dt=<day>/hh=<hour>/<version>-<gateway>-<name>.csv.gz, day and hour in
// UTC and of its rows. All rows of a part are of one version, so its feature columns are that version's signature.
package predictions

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
)

// The columns that stand before a version's features.
const (
	ColumnID      = "prediction_id"
	ColumnTime    = "time" // when the request was answered
	ColumnVersion = "version"
	ColumnArm     = "arm"    // who answered: champion or challenger
	ColumnRow     = "row_id" // the value of the data's id field in the request: what labels match
	ColumnScore   = "score"
	ColumnLabel   = "label" // the class, or the value
	ColumnLatency = "latency_us"
)

// Columns are all of them, in order, with their types.
func Columns() []spec.ColumnRule {
	return []spec.ColumnRule{
		{Name: ColumnID, Type: "text"},
		{Name: ColumnTime, Type: "timestamp"},
		{Name: ColumnVersion, Type: "integer"},
		{Name: ColumnArm, Type: "category"},
		{Name: ColumnRow, Type: "text", Nullable: true},
		{Name: ColumnScore, Type: "number", Nullable: true},
		{Name: ColumnLabel, Type: "text", Nullable: true},
		{Name: ColumnLatency, Type: "number"},
	}
}

// FeatureColumn is the log's column for a feature: its name, or "feature." and its name where that is taken.
func FeatureColumn(feature string) string {
	for _, c := range Columns() {
		if c.Name == feature {
			return "feature." + feature
		}
	}
	return feature
}

// HourPrefix is the folder of a model's predictions in one hour.
func HourPrefix(model string, t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf("predictions/%s/dt=%s/hh=%02d/", model, t.Format(time.DateOnly), t.Hour())
}

// Key is where a part lies. t is a time in its hour, name is unique for the gateway.
func Key(model string, t time.Time, version int, gateway, name string) string {
	return fmt.Sprintf("%s%d-%s-%s.csv.gz", HourPrefix(model, t), version, gateway, name)
}

// VersionOf is the version that a part's key names; ok is false for what isn't a part.
func VersionOf(key string) (version int, ok bool) {
	name := path.Base(key)
	number, _, found := strings.Cut(name, "-")
	if !found || !strings.HasSuffix(name, ".csv.gz") {
		return 0, false
	}
	version, err := strconv.Atoi(number)
	return version, err == nil && version > 0
}

// Features describes a version's feature columns, by the kinds of its signature, for reading its parts.
type Features []spec.ColumnRule

// Read gathers a version's predictions in [from, to). progress may be nil. No rows: a nil table.
func Read(ctx context.Context, store objectstore.Store, model string, version int, features Features, from, to time.Time, progress func(rows int)) (*dataset.Table, error) {
	contract := spec.Contract{Columns: Columns()}
	for _, f := range features {
		f.Name = FeatureColumn(f.Name)
		contract.Columns = append(contract.Columns, f)
	}
	var tables []*dataset.Table
	rows := 0
	for hour := from.UTC().Truncate(time.Hour); hour.Before(to); hour = hour.Add(time.Hour) {
		var keys []string
		err := store.List(ctx, HourPrefix(model, hour), func(i objectstore.Info) error {
			if v, ok := VersionOf(i.Key); ok && v == version {
				keys = append(keys, i.Key)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			t, err := readPart(ctx, store, key, &contract, from, to)
			if err != nil {
				return nil, err
			}
			if t.Rows == 0 {
				continue
			}
			tables = append(tables, t)
			rows += t.Rows
			if progress != nil {
				progress(rows)
			}
		}
	}
	if len(tables) == 0 {
		return nil, nil
	}
	all, err := dataset.Concat(tables...)
	if err != nil {
		return nil, err
	}
	// Features get their own names back; the log's own columns that one had to avoid step aside.
	for _, f := range features {
		if taken := FeatureColumn(f.Name); taken != f.Name {
			own, _ := all.Column(f.Name)
			own.Name = "log." + f.Name
			c, _ := all.Column(taken)
			c.Name = f.Name
		}
	}
	return all, nil
}

func readPart(ctx context.Context, store objectstore.Getter, key string, contract *spec.Contract, from, to time.Time) (*dataset.Table, error) {
	body, _, err := store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	t, _, report, err := dataset.Read(ctx, body, dataset.ReadOptions{Name: key, Format: "csv.gz", Contract: contract})
	if err != nil {
		return nil, fmt.Errorf("prediction log: %w", err)
	}
	if !report.OK() {
		return nil, fmt.Errorf("prediction log %s: %w", key, report.Error())
	}
	c, ok := t.Column(ColumnTime)
	if !ok {
		return nil, fmt.Errorf("prediction log %s: no column %s", key, ColumnTime)
	}
	var keep []int
	for i, ns := range c.Times {
		if ns >= from.UnixNano() && ns < to.UnixNano() {
			keep = append(keep, i)
		}
	}
	if len(keep) == t.Rows {
		return t, nil
	}
	return t.Select(keep), nil
}
