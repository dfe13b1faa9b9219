// Package importrules holds the project to its import rules (docs/architecture.md): which package may use which. It
// reads source with go/parser alone, so it needs no network, no build and no other tool. Nothing imports it; its test
// runs with all others.
package importrules

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Violation is one place where a rule is broken.
type Violation struct {
	Rule   string // its name in docs/architecture.md
	File   string
	Line   int
	What   string // what stands there
	Reason string // why the rule is there
}

func (v Violation) String() string {
	return fmt.Sprintf("%s:%d: %s\n\trule %s\n\tbecause %s", v.File, v.Line, v.What, v.Rule, v.Reason)
}

// rule gives for one file of one package what it must not do: each as a line and what stands there.
type rule struct {
	name   string
	reason string
	check  func(t *tree, p *pkg, f *file) []finding
}

type finding struct {
	line int
	what string
}

// Check parses the module whose root is fsys and gives every violation, by file and line.
func Check(fsys fs.FS, module string) ([]Violation, error) {
	t, err := load(fsys, module)
	if err != nil {
		return nil, err
	}
	var found []Violation
	for _, p := range t.packages {
		for _, f := range p.files {
			for _, r := range rules() {
				for _, x := range r.check(t, p, f) {
					found = append(found, Violation{Rule: r.name, File: f.path, Line: x.line, What: x.what, Reason: r.reason})
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b Violation) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Rule, b.Rule))
	})
	return found, nil
}

func rules() []rule {
	return []rule{{
		name:   "1: under internal/, only temporalx and testkit import go.temporal.io",
		reason: "what the product knows (data, statistics, the registry, scoring) must be usable and testable without a server, and a change of the SDK must end in one package",
		check:  temporalStaysAtTheEdge,
	}, {
		name:   "2: drift, evaluation, canary, search, approval and the registry's Apply do no I/O",
		reason: "they decide; time, randomness and data are their arguments, so a decision can be repeated, tested with any input, and is the same in every process",
		check:  decisionsArePure,
	}, {
		name:   "3: workflows import activities' types and pure packages; never a provider, os or net/http",
		reason: "workflow code is replayed: what it reads from outside its history would differ the second time",
		check:  workflowsReplay,
	}, {
		name:   "4: activities import ports; never a provider and never workflows",
		reason: "an activity must run against any store, also the one in memory; and workflows know activities, so the other direction would tie both together",
		check:  activitiesTakePorts,
	}, {
		name:   "5: only programs wire providers to ports, and nothing imports a program",
		reason: "which server is used, and with which secret, is decided in one place for each program; whatever else made a provider couldn't be tested without its server",
		check:  programsWire,
	}, {
		name:   "6: only starter, testkit and tests import internal/local or internal/devstack",
		reason: "they build and run servers for one machine; a worker or a gateway in production must carry nothing of it",
		check:  developmentStaysOut,
	}, {
		name:   "7: only onnxhost imports internal/onnx/ort, and nothing else purego",
		reason: "what links it is no static program any more, and runs a C++ library over models that may be hostile: that belongs into a process of its own",
		check:  librariesStayOut,
	}}
}

// pure packages decide. Of this module's they may use the types of plain: a spec's sections, tables of data and
// what sums them up.
func pure() []string {
	return []string{"internal/approval", "internal/canary", "internal/drift", "internal/evaluation", "internal/search"}
}

func plain() []string {
	return []string{"internal/dataset", "internal/dataset/profile", "internal/search/space", "internal/spec"}
}

// ports are the packages that declare a port beside its providers, one provider a file.
func ports() []string {
	return []string{"internal/notify", "internal/objectstore", "internal/timeseries"}
}

// wiring says that a package may make providers: a program, the folder that runs programs for the demo and tests, and
// the suites that hold providers to their port's promise.
func wiring(p *pkg) bool {
	return p.name == "main" || p.dir == "internal/local" || p.dir == "internal/testkit" || strings.HasSuffix(p.dir, "test")
}

func temporalStaysAtTheEdge(_ *tree, p *pkg, f *file) []finding {
	if !strings.HasPrefix(p.dir, "internal/") || within(p.dir, "internal/temporalx", "internal/testkit") {
		return nil
	}
	return imports(f, func(i string) bool { return within(i, "go.temporal.io") })
}

func decisionsArePure(t *tree, p *pkg, f *file) []finding {
	base := path.Base(f.path)
	ruleBook := p.dir == "internal/registry" && (base == "apply.go" || base == "index_apply.go" || base == "command.go" || base == "state.go")
	if !ruleBook && !slices.Contains(pure(), p.dir) {
		return nil
	}
	found := imports(f, func(i string) bool {
		if dir, ok := t.own(i); ok {
			return !slices.Contains(pure(), dir) && !slices.Contains(plain(), dir)
		}
		return within(i, "os", "net", "log", "syscall", "io/fs", "io/ioutil", "embed", "crypto/rand", "math/rand") && i != "math/rand/v2"
	})
	return append(found, impure(f)...)
}

// impure finds the clock, the process's random source and its standard output.
func impure(f *file) []finding {
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	seeded := []string{"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "PCG", "ChaCha8", "Zipf", "Source"}
	printing := []string{"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"}
	var found []finding
	for _, n := range f.names {
		switch {
		case n.path == "time" && slices.Contains(clock, n.name),
			n.path == "math/rand/v2" && !slices.Contains(seeded, n.name),
			n.path == "fmt" && slices.Contains(printing, n.name):
			found = append(found, finding{n.line, "uses " + path.Base(strings.TrimSuffix(n.path, "/v2")) + "." + n.name})
		}
	}
	for _, i := range f.imports {
		if i.dot {
			found = append(found, finding{i.line, fmt.Sprintf("imports . %q, whose names can't be told apart", i.path)})
		}
	}
	return found
}

func workflowsReplay(t *tree, p *pkg, f *file) []finding {
	if p.dir != "workflows" {
		return nil
	}
	found := imports(f, func(i string) bool {
		if dir, ok := t.own(i); ok {
			return dir != "activities" && !slices.Contains(pure(), dir) && dir != "internal/spec"
		}
		return within(i, "os", "net", "syscall", "io/fs", "io/ioutil", "crypto/rand", "math/rand")
	})
	return append(found, providers(t, f)...)
}

func activitiesTakePorts(t *tree, p *pkg, f *file) []finding {
	if p.dir != "activities" {
		return nil
	}
	found := imports(f, func(i string) bool {
		dir, ok := t.own(i)
		return ok && (dir == "workflows" || dir == "internal/testkit")
	})
	return append(found, providers(t, f)...)
}

func programsWire(t *tree, p *pkg, f *file) []finding {
	found := imports(f, func(i string) bool {
		dir, ok := t.own(i)
		return ok && t.packages[dir] != nil && t.packages[dir].name == "main"
	})
	if wiring(p) || p.dir == "activities" || p.dir == "workflows" || slices.Contains(ports(), p.dir) {
		return found // rules 3 and 4 say more about those two
	}
	return append(found, providers(t, f)...)
}

// librariesStayOut keeps what loads C libraries in the one program that is made for it.
func librariesStayOut(t *tree, p *pkg, f *file) []finding {
	const loader = "internal/onnx/ort"
	if p.dir == loader {
		return nil
	}
	return imports(f, func(i string) bool {
		dir, own := t.own(i)
		return own && dir == loader && p.dir != "onnxhost" || within(i, "github.com/ebitengine/purego")
	})
}

// developmentStaysOut lets the two packages know each other, beside those that use them.
func developmentStaysOut(t *tree, p *pkg, f *file) []finding {
	development := []string{"internal/local", "internal/devstack"}
	if within(p.dir, "starter", "internal/testkit") || within(p.dir, development...) {
		return nil
	}
	return imports(f, func(i string) bool {
		dir, ok := t.own(i)
		return ok && within(dir, development...)
	})
}

// providers finds uses of names that a provider's file declares. In a port's package, a file that declares a
// constructor (an exported function New...) is a provider's; the port itself has none.
func providers(t *tree, f *file) []finding {
	var found []finding
	for _, i := range f.imports {
		if dir, ok := t.own(i.path); ok && i.dot && slices.Contains(ports(), dir) {
			found = append(found, finding{i.line, fmt.Sprintf("imports . %q, whose names can't be told apart", i.path)})
		}
	}
	for _, n := range f.names {
		dir, ok := t.own(n.path)
		if !ok || !slices.Contains(ports(), dir) || t.packages[dir] == nil {
			continue
		}
		for _, declaring := range t.packages[dir].files {
			if slices.Contains(declaring.exports, n.name) && slices.ContainsFunc(declaring.exports, constructor) {
				found = append(found, finding{n.line, fmt.Sprintf("uses %s.%s of the provider in %s", path.Base(dir), n.name, declaring.path)})
			}
		}
	}
	return found
}

func constructor(name string) bool { return strings.HasPrefix(name, "New") }

// imports finds the imports of f that are refused.
func imports(f *file, refused func(path string) bool) []finding {
	var found []finding
	for _, i := range f.imports {
		if refused(i.path) {
			found = append(found, finding{i.line, fmt.Sprintf("imports %q", i.path)})
		}
	}
	return found
}

// within says that p is one of the paths or below one.
func within(p string, paths ...string) bool {
	return slices.ContainsFunc(paths, func(base string) bool { return p == base || strings.HasPrefix(p, base+"/") })
}
