package expect

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// longest is how many bytes of a value, or of what a rule asks for, are written out.
const longest = 200

// show writes a value for a message.
func show(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return clip(string(raw))
}

// clip shortens what is too long to read.
func clip(text string) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "..."
}

// limit is what a rule asks for: its arguments, as they were given, but for the columns.
func limit(rule suite.Rule) string {
	asked := suite.Kwargs{}
	for name, v := range rule.Kwargs {
		if !strings.HasPrefix(name, "column") || rule.Family == suite.Table {
			asked[name] = v
		}
	}
	words := strings.TrimPrefix(rule.Type, "expect_")
	words = strings.ReplaceAll(words, "_", " ")
	if len(asked) == 0 {
		return words
	}
	return words + " " + show(asked)
}
