package serving

import (
	"fmt"
	"strconv"

	"github.com/leanloop/leanloop/internal/inference"
)

// appendInfer writes the answer of infer. All results are of one arm.
func (w *work) appendInfer(r *route, req inferRequest) {
	answered := w.results[0].arm
	out := fmt.Appendf(w.answer, `{"model_name":%q,"model_version":"%d"`, r.model, answered.number)
	if req.id != nil {
		out = append(out, `,"id":`...)
		out = append(out, req.id...)
	}
	out = fmt.Appendf(out, `,"parameters":{"arm":%q,"fallback":%t},"outputs":[`, answered.name, w.results[0].fallback)
	wanted := req.outputs
	if wanted == nil {
		for _, name := range r.outputs() {
			wanted = append(wanted, wantedOutput{name, req.binary})
		}
	}
	for i, o := range wanted {
		if i > 0 {
			out = append(out, ',')
		}
		out = w.appendOutput(out, o, answered)
	}
	w.answer = append(out, ']', '}', '\n')
	if len(w.tail) > 0 {
		w.header = len(w.answer)
		w.answer = append(w.answer, w.tail...)
	}
}

func (w *work) appendOutput(out []byte, wanted wantedOutput, a *arm) []byte {
	name := wanted.name
	datatype, width := "FP64", 1
	switch {
	case name == outputID || name == outputPrediction && len(a.classes) > 0:
		datatype = "BYTES"
	case name == outputScores:
		width = a.model.Scorer.Outputs() // 1 for a challenger that isn't multiclass like the champion
	}
	out = fmt.Appendf(out, `{"name":%q,"datatype":%q,"shape":[%d`, name, datatype, w.rows)
	if width > 1 {
		out = fmt.Appendf(out, ",%d", width)
	}
	if wanted.binary {
		before := len(w.tail)
		w.appendBinary(name, a)
		return fmt.Appendf(out, `],"parameters":{"binary_data_size":%d}}`, len(w.tail)-before)
	}
	out = append(out, `],"data":[`...)
	for i := range w.results {
		if i > 0 {
			out = append(out, ',')
		}
		scores := w.results[i].scores
		class, score := a.decide(scores)
		switch {
		case name == outputID:
			out = append(out, '"')
			out = append(out, w.id(i)...)
			out = append(out, '"')
		case name == outputScores:
			for k, p := range scores {
				if k > 0 {
					out = append(out, ',')
				}
				out = appendFloat(out, p)
			}
		case name == outputPrediction && class >= 0:
			out = append(out, a.classes[class]...)
		default:
			out = appendFloat(out, score)
		}
	}
	return append(out, ']', '}')
}

// tensorMetadata describes one input or output.
type tensorMetadata struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"`
}

// modelMetadata is the answer of GET /v2/models/{m}.
type modelMetadata struct {
	Name     string           `json:"name"`
	Versions []string         `json:"versions"`
	Platform string           `json:"platform"`
	Inputs   []tensorMetadata `json:"inputs"`
	Outputs  []tensorMetadata `json:"outputs"`
}

func (r *route) metadata() modelMetadata {
	signature := r.champion.model.Signature
	m := modelMetadata{Name: r.model, Versions: []string{strconv.Itoa(r.champion.number)}, Platform: signature.Format}
	if r.challenger != nil {
		m.Versions = append(m.Versions, strconv.Itoa(r.challenger.number))
	}
	for _, in := range signature.Inputs {
		m.Inputs = append(m.Inputs, tensorMetadata{in.Name, datatypeOf(in.Kind), []int{-1}})
	}
	for _, name := range r.outputs() {
		out := tensorMetadata{name, "FP64", []int{-1}}
		switch {
		case name == outputID || name == outputPrediction && len(signature.Classes) > 0:
			out.Datatype = "BYTES"
		case name == outputScores:
			out.Shape = []int{-1, len(signature.Classes)}
		}
		m.Outputs = append(m.Outputs, out)
	}
	return m
}

func datatypeOf(kind string) string {
	switch kind {
	case inference.KindInteger:
		return "INT64"
	case inference.KindBoolean:
		return "BOOL"
	case inference.KindCategory, inference.KindTimestamp:
		return "BYTES"
	}
	return "FP64"
}
