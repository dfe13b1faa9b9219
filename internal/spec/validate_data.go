package spec

import (
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/nearest"
)

// Formats are the values of data.format; "" goes by the object's name.
func Formats() []string { return []string{"csv", "csv.gz", "csv.zst", "parquet"} }

// ColumnTypes are the values of a column's type.
func ColumnTypes() []string {
	return []string{"number", "integer", "category", "text", "boolean", "timestamp"}
}

func (c *checker) data(m *Model) {
	d := m.Data
	c.prefix(d.Prefix)
	if d.Format != "" {
		c.oneOf("data.format", d.Format, Formats()...)
	}
	c.must(d.Target != "", "data.target", "is required | the label's column")
	c.columns(d)
	c.must(d.Positive == "" || m.Task == Binary, "data.positive", "%q is for a binary task, not for %s", d.Positive, m.Task)
	c.must(len(d.Features.Include) == 0 || len(d.Features.Exclude) == 0, "data.features", "include and exclude are both set, expected one")
	c.atLeast("data.window.min_rows", d.Window.MinRows, 1)
	c.must(d.Window.Last == 0 || d.Time != "", "data.window.last", "%s needs data.time", d.Window.Last)
	c.oneOf("data.on_redelivery", d.OnRedelivery, "refuse", "supersede")
	c.must(d.Expectations.Freshness == 0 || d.Time != "", "data.expectations.freshness", "%s needs data.time", d.Expectations.Freshness)
	c.must(d.Expectations.FreshnessSeverity == "" || d.Expectations.Freshness > 0, "data.expectations.freshness_severity", "it needs data.expectations.freshness")
	c.severity("data.expectations.freshness_severity", d.Expectations.FreshnessSeverity)
	c.suite(d)
	c.oneOf("data.labels.match", d.Labels.Match, "id", "prediction_id")
	c.must(d.Labels.Match != "id" || d.ID != "", "data.labels.match", "id needs data.id")
	c.must(d.Labels.Delay == 0 || d.Time != "", "data.labels.delay", "%s needs data.time", d.Labels.Delay)
	c.share("data.labels.min_coverage", d.Labels.MinCoverage, true)
	if d.Contract != nil && d.Contract.File == "" {
		c.contract(d)
		c.uses(m)
	}
}

// prefix checks s3://bucket/folder/. No part may be empty or relative: a folder store would resolve it.
func (c *checker) prefix(prefix string) {
	const at = "data.prefix"
	rest, ok := strings.CutPrefix(prefix, "s3://")
	bucket, folder, _ := strings.Cut(rest, "/")
	switch {
	case prefix == "":
		c.fail(at, "is required | s3://bucket/folder/")
	case !ok:
		c.fail(at, "%q isn't an S3 address | s3://bucket/folder/", prefix)
	case !bucketForm.MatchString(bucket):
		c.fail(at, "%q isn't a bucket's name | 3 to 63 lower-case letters, digits, dots and dashes", bucket)
	case !strings.HasSuffix(rest, "/"):
		c.fail(at, "%q doesn't end with / | write %s/", prefix, prefix)
	case len(folder) > 512:
		c.fail(at, "%d characters below the bucket > 512", len(folder))
	case folder != "" && (path.Clean(folder) != strings.TrimSuffix(folder, "/") || strings.HasPrefix(folder, "../")):
		c.fail(at, "%q has an empty or relative part", prefix)
	}
}

// columns checks that the columns with a role are different ones.
func (c *checker) columns(d Data) {
	roles := []struct{ name, column string }{{"id", d.ID}, {"time", d.Time}, {"target", d.Target}, {"group", d.Group}, {"weight", d.Weight}}
	for i, a := range roles {
		c.must(a.column == strings.TrimSpace(a.column), "data."+a.name, "%q has spaces around it", a.column)
		for _, b := range roles[:i] {
			c.must(a.column == "" || a.column != b.column, "data."+a.name, "%q is data.%s too", a.column, b.name)
		}
	}
	for _, list := range []struct {
		name    string
		columns []string
	}{{"include", d.Features.Include}, {"exclude", d.Features.Exclude}} {
		seen := map[string]bool{}
		for i, column := range list.columns {
			at := fmt.Sprintf("data.features.%s[%d]", list.name, i)
			c.must(column != "", at, "the column has no name")
			c.must(!seen[column], at, "%q is listed twice", column)
			c.must(list.name != "include" || column == "" || column != d.Target, at, "%q is the target: a model would read the answer", column)
			c.must(list.name != "include" || column == "" || column != d.Weight, at, "%q is the weight: it says how much a row counts, and no request has it", column)
			seen[column] = true
		}
	}
}

// contract checks the columns, and that the columns with a role are among them.
func (c *checker) contract(d Data) {
	const at = "data.contract"
	contract := *d.Contract
	c.must(len(contract.Columns) > 0, at+".columns", "a contract needs columns")
	c.must(contract.Rows.Max == 0 || contract.Rows.Min <= contract.Rows.Max, at+".rows", "min %d > max %d", contract.Rows.Min, contract.Rows.Max)
	c.atLeast(at+".rows.min", contract.Rows.Min, 0)
	c.atLeast(at+".rows.max", contract.Rows.Max, 0)
	c.severity(at+".rows.severity", contract.Rows.Severity)
	seen := map[string]int{}
	var listed []string
	for i, rule := range contract.Columns {
		path := fmt.Sprintf("%s.columns[%d]", at, i)
		c.columnRule(path, rule)
		if first, twice := seen[rule.Name]; twice && rule.Name != "" {
			c.fail(path+".name", "%q is listed twice, first as columns[%d]", rule.Name, first)
			continue
		}
		seen[rule.Name] = i
		listed = append(listed, rule.Name)
	}
	if len(listed) == 0 {
		return
	}
	for _, role := range []struct{ name, column string }{
		{"id", d.ID}, {"time", d.Time}, {"target", d.Target}, {"group", d.Group}, {"weight", d.Weight}} {
		if _, ok := seen[role.column]; role.column != "" && !ok {
			c.found = append(c.found, Problem{Path: "data." + role.name, Message: fmt.Sprintf("column %q isn't in the contract", role.column),
				Hint: nearest.Hint(role.column, listed)})
		}
	}
	if i, ok := seen[d.Time]; ok && d.Time != "" && slices.Contains(ColumnTypes(), contract.Columns[i].Type) {
		c.must(contract.Columns[i].Type == "timestamp", fmt.Sprintf("%s.columns[%d].type", at, i),
			"%s is data.time, so its type is timestamp, not %s", d.Time, contract.Columns[i].Type)
	}
	if i, ok := seen[d.Weight]; ok && d.Weight != "" && slices.Contains(ColumnTypes(), contract.Columns[i].Type) {
		c.must(slices.Contains([]string{"number", "integer"}, contract.Columns[i].Type), fmt.Sprintf("%s.columns[%d].type", at, i),
			"%s is data.weight, so its type is number or integer, not %s", d.Weight, contract.Columns[i].Type)
	}
}

// uses checks that what the spec says of columns can be true of those in the contract: only they are read.
func (c *checker) uses(m *Model) {
	types, names := map[string]string{}, []string{}
	for _, rule := range m.Data.Contract.Columns {
		if rule.Name != "" {
			types[rule.Name] = rule.Type
			names = append(names, rule.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	listed := func(at, column string) {
		if _, ok := types[column]; column != "" && !ok {
			c.found = append(c.found, Problem{Path: at, Message: fmt.Sprintf("column %q isn't in the contract", column), Hint: nearest.Hint(column, names)})
		}
	}
	for i, column := range m.Data.Features.Include {
		at := fmt.Sprintf("data.features.include[%d]", i)
		listed(at, column)
		c.must(types[column] != "text", at, "%q is a text in the contract, which no model reads | declare it a category", column)
	}
	for i, column := range m.Data.Features.Exclude {
		listed(fmt.Sprintf("data.features.exclude[%d]", i), column)
	}
	if m.Gates.Disparity != nil {
		listed("gates.disparity.by", m.Gates.Disparity.By)
	}
	c.targetType(m, types[m.Data.Target])
}

// targetType checks that the task can be learned from a target of its type.
func (c *checker) targetType(m *Model, kind string) {
	textual := kind == "category" || kind == "text"
	switch {
	case kind == "timestamp":
		c.fail("data.target", "%q is a timestamp in the contract, which is no target | a number, or a category", m.Data.Target)
	case m.Task == Regression && (textual || kind == "boolean"):
		c.fail("data.target", "%q is a %s in the contract, and task is regression | a number, or task: binary or multiclass", m.Data.Target, kind)
	case m.Task == Binary && textual && m.Data.Positive == "":
		c.fail("data.positive", "is required, since target %q is a %s in the contract | the value that counts as yes", m.Data.Target, kind)
	}
	for _, rule := range m.Data.Contract.Columns {
		c.must(rule.Name != m.Data.Target || len(rule.Values) == 0 || m.Data.Positive == "" || slices.Contains(rule.Values, m.Data.Positive),
			"data.positive", "%q isn't among the values of %q in the contract | %s", m.Data.Positive, m.Data.Target, strings.Join(rule.Values, ", "))
	}
}

func (c *checker) columnRule(at string, r ColumnRule) {
	c.must(r.Name != "", at+".name", "is required")
	if r.Type == "" {
		c.fail(at+".type", "is required | %s", strings.Join(ColumnTypes(), ", "))
	} else {
		c.oneOf(at+".type", r.Type, ColumnTypes()...)
	}
	numeric := r.Type == "number" || r.Type == "integer"
	textual := r.Type == "category" || r.Type == "text"
	known := slices.Contains(ColumnTypes(), r.Type)
	timed := r.Type == "timestamp"
	c.must(!known || numeric || timed || (r.Min == nil && r.Max == nil && r.MinTime == nil && r.MaxTime == nil), at,
		"min and max are for numbers and timestamps, not for %s", r.Type)
	c.must(!timed || (r.Min == nil && r.Max == nil), at, "min and max of a timestamp are times | such as 2013-01-01 or 2013-01-01T06:00:00Z")
	c.must(!numeric || (r.MinTime == nil && r.MaxTime == nil), at, "min and max of a column of type %s are numbers, not times", r.Type)
	c.must(r.MinTime == nil || r.MaxTime == nil || *r.MinTime <= *r.MaxTime, at, "min is later than max")
	c.severity(at+".severity", r.Severity)
	c.must(!known || textual || len(r.Values) == 0, at+".values", "values are for categories and texts, not for %s", r.Type)
	c.must(!known || textual || r.Pattern == "", at+".pattern", "a pattern is for categories and texts, not for %s", r.Type)
	c.bounds(at, r.Min, r.Max)
	if r.Pattern != "" {
		if _, err := regexp.Compile(r.Pattern); err != nil {
			c.fail(at+".pattern", "%v", err)
		}
	}
	seen := map[string]bool{}
	for i, v := range r.Values {
		c.must(!seen[v], fmt.Sprintf("%s.values[%d]", at, i), "%q is listed twice", v)
		seen[v] = true
	}
}

func (c *checker) bounds(at string, low, high *float64) {
	for _, b := range []*float64{low, high} {
		c.must(b == nil || !(math.IsNaN(*b) || math.IsInf(*b, 0)), at, "a bound isn't finite")
	}
	c.must(low == nil || high == nil || *low <= *high, at, "min %g > max %g", deref(low), deref(high))
}

func deref(f *float64) float64 {
	if f == nil {
		return 0
	}
	return *f
}

func (c *checker) gates(m *Model) {
	valid := m.Task.QualityMetrics()
	for _, name := range m.Gates.Names() {
		at, b := "gates."+name, m.Gates.Metrics[name]
		latency := slices.Contains(latencyMetrics(), name)
		if !latency && !slices.Contains(valid, name) {
			c.fail(at, "%s isn't measured for a %s task | valid: %s", name, m.Task,
				strings.Join(append(slices.Clone(valid), latencyMetrics()...), ", "))
			continue
		}
		c.must(b.Min != nil || b.Max != nil, at, "no bound is set | write {min: 0.8} or {max: 50}")
		c.bounds(at, b.Min, b.Max)
		if limit, ok := largest(name); ok {
			for _, v := range []*float64{b.Min, b.Max} {
				c.must(v == nil || (*v >= 0 && *v <= limit), at, "%g isn't within 0 and %g, where %s lies", deref(v), limit, name)
			}
		}
	}
	if d := m.Gates.Disparity; d != nil {
		c.must(d.By != "", "gates.disparity.by", "is required | the column that names the group")
		c.must(d.By == "" || d.By != m.Data.Target, "gates.disparity.by", "%q is the target", d.By)
		c.oneOf("gates.disparity.metric", d.Metric, valid...)
		c.must(d.Max > 0, "gates.disparity.max", "%g must be over 0", d.Max)
		c.atLeast("gates.disparity.min_rows", d.MinRows, 1)
	}
	champion := m.Gates.Champion
	c.oneOf("gates.champion.metric", champion.Metric, valid...)
	c.must(champion.MaxLoss >= 0, "gates.champion.max_loss", "%g < 0", champion.MaxLoss)
	c.must(champion.Confidence >= 0.5 && champion.Confidence < 1, "gates.champion.confidence", "%g isn't within 0.5 and 1 (excluded)", champion.Confidence)
}

// largest is the largest value of a metric that lies between zero and it.
func largest(metric string) (float64, bool) {
	switch metric {
	case "accuracy", "precision", "recall", "f1", "roc_auc":
		return 1, true
	case "log_loss", "rmse", "mae", "latency_p50_ms", "latency_p99_ms":
		return math.MaxFloat64, true
	}
	return 0, false
}
