package spec

import (
	"reflect"

	"github.com/leanloop/leanloop/internal/search/space"
)

// space is a mapping of parameters to what they may be.
func (d *decoder) space(n *node, target *space.Space, path string) {
	if n.kind != mapNode {
		d.mismatch(n, path, "a mapping of parameters to what they may be")
		return
	}
	*target = make(space.Space, len(n.keys))
	for _, k := range n.keys {
		var dimension space.Dimension
		d.decode(k.value, reflect.ValueOf(&dimension).Elem(), join(path, k.name), false)
		(*target)[k.name] = dimension
		d.mark(join(path, k.name), k.line)
	}
}

// choices are a list of values of any kind.
func (d *decoder) choices(n *node, target *[]any, path string) {
	if n.kind != listNode {
		d.mismatch(n, path, "a list of values")
		return
	}
	*target = d.param(n, path).([]any) // of a list it is always one
}
