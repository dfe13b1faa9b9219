package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/spec"
)

// fieldChange is one field of a spec that differs. From or To is empty where the field isn't set.
type fieldChange struct {
	Path string `json:"path"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// specDiff lists the fields that differ, by path. A list of named things, such as a contract's columns, is compared by
// name, so that one more column is one change. before may be nil: then nothing is listed, since all is new.
func specDiff(before, after *spec.Model) ([]fieldChange, error) {
	if before == nil {
		return nil, nil
	}
	old, err := flatten(before)
	if err != nil {
		return nil, err
	}
	now, err := flatten(after)
	if err != nil {
		return nil, err
	}
	paths := map[string]bool{}
	for path := range old {
		paths[path] = true
	}
	for path := range now {
		paths[path] = true
	}
	var out []fieldChange
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if old[path] != now[path] {
			out = append(out, fieldChange{Path: path, From: old[path], To: now[path]})
		}
	}
	return out, nil
}

// flatten is a spec as leaves by path.
func flatten(m *spec.Model) (map[string]string, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("spec %s: %w", m.Metadata.Name, err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("spec %s: %w", m.Metadata.Name, err)
	}
	out := map[string]string{}
	leaves("", tree, out)
	return out, nil
}

func leaves(path string, v any, out map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			leaves(strings.TrimPrefix(path+"."+name, "."), value, out)
		}
	case []any:
		if !named(v) {
			out[path] = inline(v)
			return
		}
		for _, item := range v {
			item := item.(map[string]any)
			leaves(fmt.Sprintf("%s[%s]", path, item["name"]), item, out)
		}
	case nil:
	default:
		out[path] = inline(v)
	}
}

// named tells a list of things that each have a name of their own.
func named(list []any) bool {
	seen := map[string]bool{}
	for _, item := range list {
		object, _ := item.(map[string]any)
		name, _ := object["name"].(string)
		if name == "" || seen[name] {
			return false
		}
		seen[name] = true
	}
	return len(list) > 0
}

// inline is a value on one line; a text stands without quotes.
func inline(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

// specDiffTable draws the changes.
func specDiffTable(p *page, changes []fieldChange) {
	t := newTable("FIELD", "FROM", "TO")
	for _, c := range changes {
		t.add(c.Path, cell{text: clip(first(c.From, "-"), 60), tone: toneBad}, cell{text: clip(first(c.To, "-"), 60), tone: toneGood})
	}
	p.table(t)
}
