// Package docs holds the documentation to the files that it talks about.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = ".."

var (
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	quoted = regexp.MustCompile("`([^`\\s]+)`")
	path   = regexp.MustCompile(`^(activities|bench|deploy|devstack|docs|examples|gateway|integration|internal|schedules|starter|tools|workers|workflows)/[\w./*-]*$`)
)

// pages are all Markdown files, by path below the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		raw, err := os.ReadFile(filepath.Join(root, name))
		out[name] = string(raw)
		return err
	}))
	require.Contains(t, out, "README.md")
	return out
}

func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	for name, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			to := name
			if target != "" {
				to = filepath.Join(filepath.Dir(name), target)
				if _, err := os.Stat(filepath.Join(root, to)); err != nil {
					t.Errorf("%s links to %s: %v", name, m[1], err)
					continue
				}
			}
			if anchor != "" && !hasHeading(all[to], anchor) {
				t.Errorf("%s links to %s: no such heading", name, m[1])
			}
		}
	}
}

func hasHeading(text, anchor string) bool {
	for _, line := range strings.Split(text, "\n") {
		title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !ok || !strings.HasPrefix(line, "#") {
			continue
		}
		slug := regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(title), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}

// A page that names a file or folder of this repository, as `internal/spec`, is wrong once that has moved.
func TestNamedFilesExist(t *testing.T) {
	for name, text := range pages(t) {
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			if !path.MatchString(m[1]) {
				continue
			}
			found, err := filepath.Glob(filepath.Join(root, m[1]))
			require.NoError(t, err)
			if len(found) == 0 {
				t.Errorf("%s names %s, which isn't there", name, m[1])
			}
		}
	}
}

// The files of "Where do I change ...": `internal/spec`: `types.go`, `defaults.go`.
func TestFilesNamedBesideTheirFolderExist(t *testing.T) {
	raw, err := os.ReadFile("architecture.md")
	require.NoError(t, err)
	row := regexp.MustCompile(`(?m)^\|[^|]*\|([^|]*)\|$`)
	seen := 0
	for _, m := range row.FindAllStringSubmatch(string(raw), -1) {
		folder := ""
		for _, q := range quoted.FindAllStringSubmatch(m[1], -1) {
			switch {
			case path.MatchString(q[1]):
				if folder = q[1]; filepath.Ext(folder) != "" {
					folder = filepath.Dir(folder)
				}
			case strings.HasSuffix(q[1], ".go") && folder != "":
				seen++
				found, err := filepath.Glob(filepath.Join(root, folder, q[1]))
				require.NoError(t, err)
				if len(found) == 0 {
					t.Errorf("architecture.md names %s in %s, which isn't there", q[1], folder)
				}
			}
		}
	}
	require.Greater(t, seen, 20, "the table was not read")
}

func TestEveryDecisionHasANumberOfItsOwn(t *testing.T) {
	index, err := os.ReadFile("adr/README.md")
	require.NoError(t, err)
	files, err := filepath.Glob("adr/[0-9][0-9][0-9][0-9]-*.md")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	seen := map[string]string{}
	for _, file := range files {
		name := filepath.Base(file)
		number := name[:4]
		require.Empty(t, seen[number], "%s has the number of %s", name, seen[number])
		seen[number] = name
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(raw), "# "+number+": "), "%s begins otherwise", name)
		require.Contains(t, string(index), "["+number+"]("+name+")", "adr/README.md")
	}
}
