package deploy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// programs maps each service that we build to the folder of its program.
func programs() map[string]string {
	return map[string]string{"worker": "workers", "gateway": "gateway", "starter": "starter"}
}

// source is what the rules look at of a program: its own code and all of this module that it imports.
type source struct {
	folders map[string]bool // of this module
	imports map[string]bool // of others
	texts   map[string]bool // string literals
}

func sourceOf(t *testing.T, program string) source {
	t.Helper()
	module := regexp.MustCompile(`(?m)^module (\S+)$`).FindStringSubmatch(readText(t, "go.mod"))[1]
	s := source{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	s.walk(t, module, program)
	return s
}

func (s source) walk(t *testing.T, module, folder string) {
	t.Helper()
	if s.folders[folder] {
		return
	}
	s.folders[folder] = true
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			if inner, ok := strings.CutPrefix(name, module+"/"); ok {
				s.walk(t, module, inner)
			} else {
				s.imports[name] = true
			}
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if text, err := strconv.Unquote(l.Value); err == nil {
					s.texts[text] = true
				}
			}
			return true
		})
	}
}

// reads says whether a program has a use for a variable: its own code names it, or a library that it imports does.
func (s source) reads(variable string) bool {
	switch {
	case s.texts[variable]:
		return true
	case strings.HasPrefix(variable, "TEMPORAL_"):
		return s.imports["go.temporal.io/sdk/contrib/envconfig"]
	case strings.HasPrefix(variable, "AWS_"):
		return s.imports["github.com/aws/aws-sdk-go-v2/config"]
	}
	return false
}

func TestTheBuildCopiesEveryPackageItNeeds(t *testing.T) {
	sources := copied(readStages(t)["build"])
	for _, program := range programs() {
		for folder := range sourceOf(t, program).folders {
			top, _, _ := strings.Cut(folder, "/")
			require.True(t, slices.Contains(sources, top), "%s needs %s, which the Dockerfile doesn't copy", program, folder)
		}
	}
}

func TestProgramsGetOnlyVariablesThatTheyRead(t *testing.T) {
	c, err := parseCompose(readText(t, "docker-compose.yml"))
	require.NoError(t, err)
	for service, program := range programs() {
		s := sourceOf(t, program)
		if len(s.texts) == 0 {
			t.Logf("%s has no source to compare with", program)
			continue
		}
		require.NotEmpty(t, c.Services[service].Environment)
		for variable := range c.Services[service].Environment {
			require.True(t, s.reads(variable), "%s doesn't read %s", service, variable)
		}
	}
}

// Each variable of our own that a program reads is explained to operators, unless it is for development only.
func TestOperatorsAreToldOfEveryVariable(t *testing.T) {
	development := []string{
		"LEANLOOP_CACHE", "LEANLOOP_DEVSTACK", "LEANLOOP_DEVSTACK_DIR", "LEANLOOP_TEMPORAL_CLI", "LEANLOOP_PARENT_PIPE",
	}
	// What a worker sets for its trainers is the model owner's to know.
	manual := readText(t, "docs/operations.md") + readText(t, "docs/trainer-contract.md")
	ours := regexp.MustCompile(`^(LEANLOOP|INFLUX|SLACK)_[A-Z0-9_]+$`)
	for service, program := range programs() {
		for text := range sourceOf(t, program).texts {
			if ours.MatchString(text) && !slices.Contains(development, text) {
				require.True(t, strings.Contains(manual, "`"+text+"`"), "%s reads %s: say so in docs/operations.md", service, text)
			}
		}
	}
}
