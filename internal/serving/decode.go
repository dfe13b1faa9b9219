package serving

import (
	"fmt"

	"github.com/leanloop/leanloop/internal/inference"
)

// decodePredict reads the body of POST /predict/{model} into rows: {"features": {...}} is one row,
// {"instances": [{...}, ...]} is a batch. single says which it was.
//
// A row of a batch that is too short for any arm is the batch's end: the rest is only read through. So what a request
// makes the gateway hold is in proportion to its own size.
func (w *work) decodePredict(r *route, maxRows int) (single bool, p *problem) {
	s := scanner{data: w.body}
	given, rows, short := "", 0, -1
	next := func() error {
		if rows >= maxRows {
			return tooLarge("instances: more than %d rows in one request", maxRows)
		}
		rows++
		if short >= 0 {
			return s.skip(0)
		}
		features, err := w.decodeRow(&s, r)
		if features < r.least {
			short = rows - 1
		}
		return err
	}
	err := s.object(func(key []byte) error {
		name := string(key)
		if name != "features" && name != "instances" {
			return badRequest("bad_request", `unknown field %q: want {"features": {...}} or {"instances": [{...}, ...]}`, clip(name))
		}
		if given != "" {
			return badRequest("bad_request", "observed %q and %q, want one of them once", given, name)
		}
		given = name
		if name == "features" {
			_, err := w.decodeRow(&s, r)
			return err
		}
		return s.array(next)
	})
	if err == nil {
		err = s.end()
	}
	switch {
	case err != nil:
		return false, asProblem(err)
	case given == "":
		return false, badRequest("bad_request", `empty request: want {"features": {...}} or {"instances": [{...}, ...]}`)
	case w.rows == 0:
		return false, badRequest("bad_request", "instances: no rows")
	case len(w.unknown) > 0:
		return false, unknownFeatures(r, w.unknown)
	case short >= 0:
		return false, w.missing(r, short, rows)
	}
	return given == "features", nil
}

// missing names all that a row lacks for the champion; nil if it lacks nothing.
func (w *work) missing(r *route, row, rows int) *problem {
	values := w.row(row, len(r.order))
	var p *problem
	for i, in := range r.champion.inputs {
		if values[in.place].kind != absentValue {
			continue
		}
		name := r.champion.model.Signature.Inputs[i].Name
		if p == nil {
			p = rowProblem(&inference.MissingFeature{Feature: name}, row, rows)
			continue
		}
		p.Features = append(p.Features, featureHint{Name: name})
	}
	if p != nil && len(p.Features) > 1 {
		p.Message += fmt.Sprintf("; %d more are: see features", len(p.Features)-1)
	}
	return p
}

// decodeRow reads one object of named values into the places of the route. given is how many it holds of what is read.
func (w *work) decodeRow(s *scanner, r *route) (given int, err error) {
	row := w.addRow(len(r.order))
	next := 0 // clients tend to send features in the signature's order
	err = s.object(func(key []byte) error {
		place := next
		if next >= len(r.order) || string(key) != r.order[next] {
			var known bool
			if place, known = r.names[string(key)]; !known {
				if !r.ignored[string(key)] {
					w.addUnknown(key)
				}
				return s.skip(0)
			}
		}
		if row[place].kind != absentValue {
			return badRequest("bad_request", "feature %q is given twice", r.order[place])
		}
		s.peek()
		if s.pos < len(s.data) && (s.data[s.pos] == '{' || s.data[s.pos] == '[') {
			return badRequest("bad_feature", "feature %q: %s", r.order[place],
				fmt.Sprintf("%s, want a number, a string, a boolean or null", s.seen()))
		}
		v, err := s.scalar()
		if err != nil {
			return err
		}
		row[place] = v
		next = place + 1
		given++
		return nil
	})
	return given, err
}

// asProblem makes an error of a decoder the client's.
func asProblem(err error) *problem {
	if p, ok := err.(*problem); ok {
		return p
	}
	return badRequest("bad_json", "%v", err)
}
