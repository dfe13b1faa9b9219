package importrules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// tree is a module's source as the rules see it: files of the product, not of its tests.
type tree struct {
	module   string
	packages map[string]*pkg // by folder below the module's root, "." for the root itself
}

type pkg struct {
	dir   string
	name  string // main for a program
	files []*file
}

type file struct {
	path    string // below the module's root
	imports []imported
	names   []reference
	exports []string // exported names that it declares at top level, without methods
}

// imported is one import, at a line.
type imported struct {
	path string // as written
	dot  bool   // import . "path": its names can't be told from the file's own
	line int
}

// reference is one use of a name of an imported package: path and name of objectstore.NewS3.
type reference struct {
	path string
	name string
	line int
}

// load parses every Go file below fsys that belongs to module, but tests: they may use what they test with. Folders
// that go ignores, and modules of their own, are left out. Build tags are not: a rule holds on every system.
func load(fsys fs.FS, module string) (*tree, error) {
	t := &tree{module: module, packages: map[string]*pkg{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if foreign(fsys, name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		return t.add(fsys, name)
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// foreign says that a folder holds no source of this module.
func foreign(fsys fs.FS, dir string) bool {
	if dir == "." {
		return false
	}
	base := path.Base(dir)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err == nil
}

func (t *tree) add(fsys fs.FS, name string) error {
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, name, src, parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	dir := path.Dir(name)
	p := t.packages[dir]
	if p == nil {
		p = &pkg{dir: dir, name: parsed.Name.Name}
		t.packages[dir] = p
	}
	p.files = append(p.files, read(set, name, parsed))
	return nil
}

func read(set *token.FileSet, name string, parsed *ast.File) *file {
	f := &file{path: name}
	local := map[string]string{} // name in this file -> path of the import
	for _, i := range parsed.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue // the parser has checked it
		}
		f.imports = append(f.imports, imported{path: p, dot: i.Name != nil && i.Name.Name == ".", line: set.Position(i.Pos()).Line})
		as := guess(p)
		if i.Name != nil {
			as = i.Name.Name
		}
		local[as] = p
	}
	// A local variable that has an import's name is taken for the import: a rule that errs here errs on the safe side.
	ast.Inspect(parsed, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := s.X.(*ast.Ident)
		if !ok {
			return true
		}
		if p, ok := local[x.Name]; ok {
			f.names = append(f.names, reference{path: p, name: s.Sel.Name, line: set.Position(s.Pos()).Line})
		}
		return true
	})
	for _, d := range parsed.Decls {
		f.exports = append(f.exports, exported(d)...)
	}
	return f
}

// guess is the name of an imported package: its last element, without a major version.
func guess(importPath string) string {
	base := path.Base(importPath)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		return path.Base(path.Dir(importPath))
	}
	return base
}

func exported(d ast.Decl) []string {
	var names []string
	add := func(i *ast.Ident) {
		if i.IsExported() {
			names = append(names, i.Name)
		}
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			add(d.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				add(s.Name)
			case *ast.ValueSpec:
				for _, n := range s.Names {
					add(n)
				}
			}
		}
	}
	return names
}

// own is the folder of an import of this module, and whether it is one.
func (t *tree) own(importPath string) (dir string, ok bool) {
	if importPath == t.module {
		return ".", true
	}
	return strings.CutPrefix(importPath, t.module+"/")
}
