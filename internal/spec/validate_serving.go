package spec

import (
	"maps"
	"slices"
	"strings"
)

// serving checks how requests are answered.
func (c *checker) serving(m *Model) {
	s := m.Serving
	c.must(s.StickyBy == strings.TrimSpace(s.StickyBy), "serving.sticky_by", "%q has spaces around it", s.StickyBy)
	c.share("serving.mirror", s.Mirror, true)
	c.share("serving.log.sample", s.Log.Sample, true)
	if s.UnknownCategories != "" {
		c.oneOf("serving.unknown_categories", s.UnknownCategories, UnknownMissing, UnknownRefuse)
	}
	for _, feature := range slices.Sorted(maps.Keys(s.UnknownCategoriesOf)) {
		path := join("serving.unknown_categories_of", feature)
		c.oneOf(path, s.UnknownCategoriesOf[feature], UnknownMissing, UnknownRefuse)
		c.categoryFeature(m, path, feature)
	}
}

// categoryFeature checks that a column may be a category that a model sees, as far as the spec says which columns there are.
func (c *checker) categoryFeature(m *Model, at, column string) {
	d := m.Data
	excluded := slices.Contains(d.Features.Exclude, column) || len(d.Features.Include) > 0 && !slices.Contains(d.Features.Include, column)
	c.must(column != "", at, "the feature has no name")
	c.must(!excluded, at, "the column is left out by data.features: no model sees it")
	if d.Contract == nil || d.Contract.File != "" {
		return
	}
	i := slices.IndexFunc(d.Contract.Columns, func(r ColumnRule) bool { return r.Name == column })
	switch {
	case i < 0:
		c.must(!d.Contract.Strict, at, "no such column in the strict contract")
	case d.Contract.Columns[i].Type != "category":
		c.fail(at, "the column's type is %s, which has no categories", d.Contract.Columns[i].Type)
	}
}
