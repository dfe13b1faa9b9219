package spec

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var schemaJSON []byte

// Schema is the JSON Schema (draft 2020-12) of a spec, for editors and other tools. It knows every field, type and
// range; rules between fields, such as the order of a canary's steps, are Parse's alone.
func Schema() []byte { return slices.Clone(schemaJSON) }
