package serving

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
)

// problem is why a request gets no prediction. Both protocols answer {"error": message}; POST /predict adds the code
// and what a program may want to read.
type problem struct {
	Status   int           `json:"-"`
	Message  string        `json:"error"`
	Code     string        `json:"code"`
	Features []featureHint `json:"features,omitempty"`
}

// featureHint names a feature that was refused and the names that were perhaps meant.
type featureHint struct {
	Name    string   `json:"name"`
	Nearest []string `json:"nearest,omitempty"`
}

func (p *problem) Error() string { return p.Message }

func badRequest(code, format string, args ...any) *problem {
	return &problem{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

func tooLarge(format string, args ...any) *problem {
	return &problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: fmt.Sprintf(format, args...)}
}

func unknownModel(model string, routes map[string]*route) *problem {
	names := make([]string, 0, len(routes))
	for name := range routes {
		names = append(names, name)
	}
	p := &problem{Status: http.StatusNotFound, Code: "unknown_model", Message: fmt.Sprintf("model %q: not served here", clip(model))}
	if near := nearest(model, names); len(near) > 0 {
		p.Message += "; nearest: " + strings.Join(near, ", ")
	}
	return p
}

// notKnownYet is a model that may be served as soon as the store was read.
func notKnownYet(model string) *problem {
	return &problem{Status: http.StatusServiceUnavailable, Code: "not_ready",
		Message: fmt.Sprintf("model %q: the gateway has just started and doesn't know yet whether it is served here", clip(model))}
}

func noChampion(model string) *problem {
	return &problem{Status: http.StatusServiceUnavailable, Code: "no_champion",
		Message: fmt.Sprintf("model %q: no version is in service yet", model)}
}

// notServed is a version that can't be asked for by its number: the challenger's traffic is the canary's to choose.
func notServed(r *route, version string) *problem {
	if version == "" || version == strconv.Itoa(r.champion.number) {
		return nil
	}
	return &problem{Status: http.StatusNotFound, Code: "unknown_version",
		Message: fmt.Sprintf("model %q: version %s can't be asked for by its number: the champion is %d", r.model, clip(version), r.champion.number)}
}

func overloaded(what string) *problem {
	return &problem{Status: http.StatusTooManyRequests, Code: "overloaded", Message: what}
}

// unknownFeatures names what no version reads, and the nearest names that a version does.
func unknownFeatures(r *route, unknown []string) *problem {
	p := &problem{Status: http.StatusBadRequest, Code: "unknown_feature"}
	var parts []string
	for _, name := range unknown {
		near := nearest(name, r.order)
		p.Features = append(p.Features, featureHint{Name: clip(name), Nearest: near})
		part := strconv.Quote(clip(name))
		if len(near) > 0 {
			part += " (nearest: " + strings.Join(near, ", ") + ")"
		}
		parts = append(parts, part)
	}
	p.Message = fmt.Sprintf("model %q has no feature %s", r.model, strings.Join(parts, ", "))
	return p
}

// send writes the problem; with the code for the plain protocol, the bare {"error"} for Open Inference.
func (p *problem) send(w http.ResponseWriter, bare bool) {
	var body any = p
	if bare {
		body = struct {
			Error string `json:"error"`
		}{p.Message}
	}
	encoded, _ := json.Marshal(body) // strings and lists of strings always have JSON
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	if p.Status == http.StatusRequestEntityTooLarge {
		w.Header().Set("Connection", "close")
	}
	sendJSON(w, p.Status, append(encoded, '\n'))
}

// sendBinary sends an answer whose JSON has the given length and is followed by tensors.
func sendBinary(w http.ResponseWriter, body []byte, header int) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set(headerLength, strconv.Itoa(header))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body)
}

func sendJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left is no one's concern
}

var jsonType = []string{"application/json"}

// clip bounds what of a request is repeated to its sender.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// nearest are up to three of the names that are at most a third of their letters away from name, the closest first.
func nearest(name string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	const most = 64
	if len(name) > most {
		return nil
	}
	var found []candidate
	for _, other := range names {
		if len(other) > most {
			continue
		}
		d := editDistance(strings.ToLower(name), strings.ToLower(other))
		if d <= max(2, len(other)/3) && d < len(other) {
			found = append(found, candidate{other, d})
		}
	}
	sort.Slice(found, func(i, j int) bool {
		if found[i].distance != found[j].distance {
			return found[i].distance < found[j].distance
		}
		return found[i].name < found[j].name
	})
	var out []string
	for _, c := range found[:min(3, len(found))] {
		out = append(out, c.name)
	}
	return out
}

// editDistance is Levenshtein's, in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
