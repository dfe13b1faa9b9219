package deploy_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// variable is one ${NAME...} of the compose file.
type variable struct {
	name, operator, rest string
}

var reference = regexp.MustCompile(`\$\{(\w+)(:\?|:-)?([^}]*)\}`)

func variablesOf(text string) []variable {
	var found []variable
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		found = append(found, variable{m[1], m[2], m[3]})
	}
	return found
}

var setting = regexp.MustCompile(`(?m)^(#?)([A-Z][A-Z0-9_]*)=(.*)$`)

// exampleOf maps each variable of .env.example to whether it is commented out, and its value.
func exampleOf(text string) map[string]struct {
	optional bool
	value    string
} {
	found := map[string]struct {
		optional bool
		value    string
	}{}
	for _, m := range setting.FindAllStringSubmatch(text, -1) {
		found[m[2]] = struct {
			optional bool
			value    string
		}{m[1] == "#", m[3]}
	}
	return found
}

// environmentRules compares the variables that compose uses with those that .env.example explains.
func environmentRules(composeText, exampleText string) []string {
	var broken []string
	example := exampleOf(exampleText)
	used := map[string]bool{}
	for _, v := range variablesOf(composeText) {
		used[v.name] = true
		shown, ok := example[v.name]
		switch {
		case !ok:
			broken = append(broken, v.name+": isn't in .env.example")
		case v.operator == "":
			broken = append(broken, v.name+": would be empty without a word: want ${VAR:?...} or ${VAR:-...}")
		case v.operator == ":?" && !strings.Contains(v.rest, ".env.example"):
			broken = append(broken, v.name+": its message doesn't say where to look")
		case v.operator == ":?" && (shown.optional || shown.value != ""):
			broken = append(broken, v.name+": is required, so .env.example must leave it to be filled in")
		case v.operator == ":-" && !shown.optional:
			broken = append(broken, v.name+": is optional, so .env.example must comment it out")
		case v.operator == ":-" && v.rest != "" && shown.value != v.rest:
			broken = append(broken, fmt.Sprintf("%s: .env.example shows %q, compose uses %q", v.name, shown.value, v.rest))
		}
	}
	for name := range example {
		if !used[name] {
			broken = append(broken, name+": is in .env.example and used by nothing")
		}
	}
	return broken
}

func TestEveryVariableIsExplained(t *testing.T) {
	require.Empty(t, environmentRules(readText(t, "docker-compose.yml"), readText(t, ".env.example")))
}

func TestSecretsStayOutOfGit(t *testing.T) {
	require.Contains(t, strings.Split(readText(t, ".gitignore"), "\n"), "/.env")
}

func TestEnvironmentRulesNoticeWhatBreaksThem(t *testing.T) {
	const example = "# words\nNEEDED=\n#CHOICE=a\n"
	const good = "x: ${NEEDED:?see .env.example}\ny: ${CHOICE:-a}\n"
	require.Empty(t, environmentRules(good, example))
	for name, c := range map[string]struct{ compose, example, want string }{
		"a variable nobody explains":        {good + "z: ${OTHER:-1}", example, "OTHER: isn't in .env.example"},
		"a variable that may be empty":      {good + "z: ${CHOICE}", example, "CHOICE: would be empty"},
		"a message that helps nobody":       {"x: ${NEEDED:?no}\ny: ${CHOICE:-a}", example, "NEEDED: its message"},
		"a required one with a value":       {good, "NEEDED=admin\n#CHOICE=a\n", "NEEDED: is required"},
		"a default that isn't the shown":    {good, "NEEDED=\n#CHOICE=b\n", `CHOICE: .env.example shows "b", compose uses "a"`},
		"an explanation nothing needs":      {good, example + "#OLD=1\n", "OLD: is in .env.example"},
		"an optional one that looks forced": {good, "NEEDED=\nCHOICE=a\n", "CHOICE: is optional"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := environmentRules(c.compose, c.example)
			require.Len(t, broken, 1)
			require.Contains(t, broken[0], c.want)
		})
	}
}
