// Package predictions is the layout of the prediction log: where a part lies, which columns it has, and how a window of
// it is read back. Gateways write parts, monitors read them; both go by this package.
//
// A part is one Parquet file: predictions/<model>/dt=<day>/hh=<hour>/<version>-<gateway>-<name>.parquet, day and hour in
// UTC and of its rows. All rows of a part are of one version, so its feature columns are that version's signature.
// Gateways of before wrote gzipped CSV with the ending .csv.gz, without the column model; both are read.
package predictions

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
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
	ColumnModel   = "model" // not in a CSV
)

// Columns are those of every part, in order, with their types. After them Parquet has ColumnModel.
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

// featurePrefix keeps features apart from the log's own columns.
const featurePrefix = "feature."

// FeatureColumn is the log's column for a feature: its name, or "feature." and its name where that is one of the log's
// own. A name that begins so gets the prefix too, so that no two features share a column.
func FeatureColumn(feature string) string { return layout(dataset.Parquet).feature(feature) }

// layout is how a part holds its rows, by its format.
type layout string

// layouts are those that are read: the ending of a part's key is "." and its layout.
func layouts() []layout { return []layout{dataset.Parquet, dataset.CSVGzip} }

// feature is FeatureColumn in a part of the layout.
func (l layout) feature(name string) string {
	taken := strings.HasPrefix(name, featurePrefix) || l == dataset.Parquet && name == ColumnModel
	for _, c := range Columns() {
		taken = taken || c.Name == name
	}
	if taken {
		return featurePrefix + name
	}
	return name
}

// HourPrefix is the folder of a model's predictions in one hour.
func HourPrefix(model string, t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf("predictions/%s/dt=%s/hh=%02d/", model, t.Format(time.DateOnly), t.Hour())
}

// Key is where a part lies. t is a time in its hour, name is unique for the gateway.
func Key(model string, t time.Time, version int, gateway, name string) string {
	return fmt.Sprintf("%s%d-%s-%s.%s", HourPrefix(model, t), version, gateway, name, dataset.Parquet)
}

// VersionOf is the version that a part's key names; ok is false for what isn't a part.
func VersionOf(key string) (version int, ok bool) {
	name := path.Base(key)
	number, _, found := strings.Cut(name, "-")
	if _, known := layoutOf(key); !found || !known {
		return 0, false
	}
	version, err := strconv.Atoi(number)
	return version, err == nil && version > 0
}

func layoutOf(key string) (l layout, ok bool) {
	for _, l := range layouts() {
		if strings.HasSuffix(key, "."+string(l)) {
			return l, true
		}
	}
	return "", false
}
