package spec

import (
	"reflect"
	"slices"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// contract is a mapping, or the name of a file that Load reads.
func (d *decoder) contract(n *node, c **Contract, path string) {
	if n.kind == textNode {
		*c = &Contract{File: n.text}
		if n.text == "" {
			d.problem(path, n.line, "", "the contract's file has no name")
		}
		return
	}
	if n.kind != mapNode {
		d.mismatch(n, path, "columns, or the name of a file")
		return
	}
	*c = &Contract{}
	d.mapping(n, reflect.ValueOf(*c).Elem(), path)
}

// suite is a mapping in the form of Great Expectations 1.x, or the name of a file that Load reads.
func (d *decoder) suite(n *node, s **suite.Suite, path string) {
	if n.kind == textNode {
		*s = &suite.Suite{File: n.text}
		if n.text == "" {
			d.problem(path, n.line, "", "the suite's file has no name")
		}
		return
	}
	if n.kind != mapNode {
		d.mismatch(n, path, "expectations, or the name of a file")
		return
	}
	*s = &suite.Suite{}
	d.mapping(n, reflect.ValueOf(*s).Elem(), path)
}

// kwargs are an expectation's arguments. As in the files of Great Expectations, null stands for one that isn't set.
func (d *decoder) kwargs(n *node, k *suite.Kwargs, path string) {
	if n.kind != mapNode {
		d.mismatch(n, path, "a mapping of names to values")
		return
	}
	out := suite.Kwargs{}
	for _, key := range n.keys {
		if key.value.kind != nullNode {
			out[key.name] = d.nullable(key.value, join(path, key.name))
		}
	}
	if len(out) > 0 {
		*k = out
	}
}

// nullable is param, but that null may stand in lists and mappings.
func (d *decoder) nullable(n *node, path string) any {
	d.mark(path, n.line)
	switch n.kind {
	case nullNode:
		return nil
	case listNode:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = d.nullable(item, path)
		}
		return out
	case mapNode:
		out := make(map[string]any, len(n.keys))
		for _, k := range n.keys {
			out[k.name] = d.nullable(k.value, join(path, k.name))
		}
		return out
	}
	return d.param(n, path)
}

// columnRule is one column of a contract. Its min and max are times where they are written so.
func (d *decoder) columnRule(n *node, r *ColumnRule, path string) {
	if n.kind != mapNode {
		d.mismatch(n, path, "a mapping")
		return
	}
	rest := *n
	rest.keys = slices.Clone(n.keys)
	for _, bound := range []struct {
		name string
		to   **Instant
	}{{"min", &r.MinTime}, {"max", &r.MaxTime}} {
		i := slices.IndexFunc(rest.keys, func(k key) bool { return k.name == bound.name && k.value.kind == textNode })
		if i < 0 {
			continue
		}
		k := rest.keys[i]
		at := new(Instant)
		d.text(k.value, reflect.ValueOf(at).Elem(), join(path, k.name))
		d.mark(join(path, k.name), k.line)
		*bound.to = at
		rest.keys = slices.Delete(rest.keys, i, i+1)
	}
	d.mapping(&rest, reflect.ValueOf(r).Elem(), path)
}
