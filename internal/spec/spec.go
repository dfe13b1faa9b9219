package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// Parse reads one spec. name is the file's, for messages. It fills every default and validates; everything that is
// wrong comes back at once as an *Invalid. A contract or a suite that is named as a file isn't read: Load does that.
func Parse(name string, src []byte) (*Model, error) {
	return parse(name, src, func(*Model, places) []Problem { return nil })
}

// Load reads a spec from a file, and the contract and the suite that it names from the same folder: a name that leads
// out of the folder, by .. or by a link, is a problem.
func Load(path string) (*Model, error) {
	src, err := readLimited(os.Open(path))
	if err != nil {
		return nil, fmt.Errorf("read spec: %w", err)
	}
	m, err := parse(path, src, func(m *Model, at places) []Problem {
		dir := filepath.Dir(path)
		return append(inlineContract(m, dir, at), inlineSuite(m, dir, at)...)
	})
	if err != nil {
		return nil, err
	}
	whole, err := m.Canonical()
	if err == nil && len(whole) > maxSource { // Parse would refuse it where it is stored
		return nil, &Invalid{Name: path, Problems: []Problem{{Message: fmt.Sprintf("%d bytes with contract and suite > %d", len(whole), maxSource)}}}
	}
	return m, err
}

// parse decodes, lets inline complete the model, fills the defaults and validates.
func parse(name string, src []byte, inline func(*Model, places) []Problem) (*Model, error) {
	m, at := Defaults(), places{}
	problems, ok := decodeInto(m, src, "", "", at)
	if ok {
		problems = append(problems, inline(m, at)...)
		m.complete()
		problems = append(problems, placed(m.problems(), at, problems)...)
	}
	if len(problems) > 0 {
		sortProblems(problems)
		return nil, &Invalid{Name: name, Problems: problems}
	}
	return m, nil
}

// placed says where problems stand, and leaves out those that only follow from one that is known: a field that
// couldn't be read isn't missing too.
func placed(found []Problem, at places, known []Problem) []Problem {
	var out []Problem
	for _, p := range found {
		follows := slices.ContainsFunc(known, func(k Problem) bool {
			return p.Path == k.Path || strings.HasPrefix(k.Path, p.Path+".") || strings.HasPrefix(p.Path, k.Path+".") ||
				strings.HasPrefix(k.Path, p.Path+"[") || strings.HasPrefix(p.Path, k.Path+"[")
		})
		if follows {
			continue
		}
		where := at.of(p.Path)
		p.File, p.Line = where.file, where.line
		out = append(out, p)
	}
	return out
}

func inlineContract(m *Model, dir string, at places) []Problem {
	const path = "data.contract"
	if m.Data.Contract == nil || m.Data.Contract.File == "" {
		return nil
	}
	file := m.Data.Contract.File
	src, problems := beside(dir, file, path, at)
	if problems != nil {
		return problems
	}
	c := &Contract{}
	problems, _ = decodeInto(c, src, file, path, at)
	m.Data.Contract = c
	return problems
}

// inlineSuite reads the file of expectations, and notes where in it everything stands.
func inlineSuite(m *Model, dir string, at places) []Problem {
	const path = "data.expectations.suite"
	if m.Data.Expectations.Suite == nil || m.Data.Expectations.Suite.File == "" {
		return nil
	}
	file := m.Data.Expectations.Suite.File
	src, problems := beside(dir, file, path, at)
	if problems != nil {
		return problems
	}
	if len(src) > maxSource {
		return []Problem{{Path: path, File: file, Message: fmt.Sprintf("more than %d bytes", maxSource)}}
	}
	s, lines, found := suite.Read(src)
	for _, p := range found {
		problems = append(problems, Problem{Path: strings.TrimSuffix(join(path, p.Path), "."), File: file, Line: p.Line, Message: p.Message, Hint: p.Hint})
	}
	for name, line := range lines {
		at[strings.TrimSuffix(join(path, name), ".")] = place{file: file, line: line}
	}
	m.Data.Expectations.Suite = s
	return problems
}

// beside reads a file that the field at path names, from the spec's folder.
func beside(dir, file, path string, at places) ([]byte, []Problem) {
	fail := func(format string, args ...any) []Problem {
		return []Problem{{Path: path, Line: at[path].line, Message: fmt.Sprintf(format, args...)}}
	}
	if !filepath.IsLocal(file) {
		return nil, fail("%q is outside of the spec's folder", file)
	}
	src, err := readLimited(os.OpenInRoot(dir, file))
	if err != nil {
		return nil, fail("%q can't be read: %v", file, err)
	}
	return src, nil
}

// readLimited reads a file that is at most one byte over the limit, which the parser then refuses.
func readLimited(f *os.File, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	src, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	return src, errors.Join(err, f.Close())
}

// Digest is the sha256 in hex of the canonical form, under which applied specs are stored. It fails where Canonical
// does.
func (m *Model) Digest() (string, error) {
	b, err := m.Canonical()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
