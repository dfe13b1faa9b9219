package suite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/nearest"
)

// Members of a suite and of an expectation that say nothing about the data.
var (
	idleSuite       = []string{"id", "meta", "notes", "ge_cloud_id", "data_asset_type"}
	idleExpectation = []string{"id", "meta", "notes", "description", "ge_cloud_id", "rendered_content", "expectation_context", "success_on_last_run"}
	idleKwargs      = []string{"result_format", "catch_exceptions", "include_config", "batch_id", "auto", "profiler_config", "meta"}
)

// Read is the suite in a file as it stands, where everything in it stands, and what keeps it from being one. What its
// expectations mean is for Suite.Problems. The suite is nil where nothing can be made of the file.
func Read(src []byte) (*Suite, positions, []Problem) {
	root, at, problems := readTree(src)
	if root == nil {
		return nil, nil, problems
	}
	r := &reader{problems: problems}
	top, ok := root.(object)
	if !ok {
		r.fail("", "", "expected a suite, found %s", describe(root))
		return nil, at, at.place(r.problems)
	}
	s := r.suite(top)
	return s, at, at.place(r.problems)
}

// reader turns the tree of a file into a suite.
type reader struct{ problems []Problem }

func (r *reader) fail(path, hint, format string, args ...any) {
	r.problems = append(r.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// suite reads both forms: 1.x calls it name and type, before 1.0 it was expectation_suite_name and expectation_type.
func (r *reader) suite(top object) *Suite {
	s := &Suite{}
	valid := []string{"name", "expectations", "suite_parameters"}
	old := false
	if _, old = top.get("expectation_suite_name"); old {
		valid = []string{"expectation_suite_name", "expectations", "evaluation_parameters"}
	}
	listed := false
	for _, e := range top {
		switch {
		case slices.Contains(idleSuite, e.name):
		case !slices.Contains(valid, e.name):
			r.fail(e.name, nearest.Hint(e.name, valid), "unknown field %q", e.name)
		case e.name == "expectations":
			listed = true
			r.expectations(s, e.value)
		case strings.HasSuffix(e.name, "_parameters"):
			if o, empty := e.value.(object); e.value != nil && (!empty || len(o) > 0) {
				r.fail(e.name, "write the values into the expectations", "parameters aren't supported")
			}
		default:
			name, ok := e.value.(string)
			if !ok && e.value != nil {
				r.fail(e.name, "", "expected a text, found %s", describe(e.value))
			}
			s.Name = name
		}
	}
	if !listed {
		r.fail("", "", `the file has no "expectations": it is no suite`)
		return nil
	}
	return s
}

func (r *reader) expectations(s *Suite, v any) {
	items, ok := v.([]any)
	if !ok {
		r.fail("expectations", "", "expected a list, found %s", describe(v))
		return
	}
	for i, item := range items {
		path := fmt.Sprintf("expectations[%d]", i)
		o, ok := item.(object)
		if !ok {
			r.fail(path, "", "expected an expectation, found %s", describe(item))
			o = nil
		}
		s.Expectations = append(s.Expectations, r.expectation(path, o))
	}
}

func (r *reader) expectation(path string, o object) Expectation {
	var e Expectation
	valid := []string{"type", "kwargs", "severity"}
	if _, old := o.get("expectation_type"); old {
		valid = []string{"expectation_type", "kwargs", "severity"}
	}
	for _, member := range o {
		at := path + "." + member.name
		switch {
		case slices.Contains(idleExpectation, member.name):
		case !slices.Contains(valid, member.name):
			r.fail(at, nearest.Hint(member.name, valid), "unknown field %q", member.name)
		case member.name == "kwargs":
			e.Kwargs = r.kwargs(at, member.value)
		default:
			text, ok := member.value.(string)
			switch {
			case !ok && member.value != nil:
				r.fail(at, "", "expected a text, found %s", describe(member.value))
			case member.name == "severity":
				e.Severity = text
			default:
				e.Type = text
			}
		}
	}
	return e
}

// kwargs leaves out what is null, which means that it isn't set, and what is about the running and not about the data.
func (r *reader) kwargs(path string, v any) Kwargs {
	if v == nil {
		return nil
	}
	o, ok := v.(object)
	if !ok {
		r.fail(path, "", "expected an object, found %s", describe(v))
		return nil
	}
	out := Kwargs{}
	for _, e := range o {
		if e.value == nil || slices.Contains(idleKwargs, e.name) {
			continue
		}
		if p, ok := e.value.(object); ok {
			if _, ok := p.get("$PARAMETER"); ok {
				r.fail(path+"."+e.name, "write the value", "parameters aren't supported")
				continue
			}
		}
		out[e.name] = plain(e.value)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
