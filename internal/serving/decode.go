package serving

import "fmt"

// decodePredict reads the body of POST /predict/{model} into rows: {"features": {...}} is one row,
// {"instances": [{...}, ...]} is a batch. single says which it was.
func (w *work) decodePredict(r *route, maxRows int) (single bool, p *problem) {
	s := scanner{data: w.body}
	given := ""
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
			return w.decodeRow(&s, r)
		}
		return s.array(func() error {
			if w.rows >= maxRows {
				return tooLarge("instances: more than %d rows in one request", maxRows)
			}
			return w.decodeRow(&s, r)
		})
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
	}
	return given == "features", nil
}

// decodeRow reads one object of named values into the places of the route.
func (w *work) decodeRow(s *scanner, r *route) error {
	row := w.addRow(len(r.order))
	next := 0 // clients tend to send features in the signature's order
	return s.object(func(key []byte) error {
		place := next
		if next >= len(r.order) || string(key) != r.order[next] {
			var known bool
			if place, known = r.names[string(key)]; !known {
				w.addUnknown(key)
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
		return nil
	})
}

// asProblem makes an error of a decoder the client's.
func asProblem(err error) *problem {
	if p, ok := err.(*problem); ok {
		return p
	}
	return badRequest("bad_json", "%v", err)
}
