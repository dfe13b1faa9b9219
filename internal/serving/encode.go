package serving

import (
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/spec"
)

// appendPredict writes the answer of POST /predict/{model}.
func (w *work) appendPredict(r *route, single bool) {
	w.answer = append(w.answer, `{"model":"`...)
	w.answer = append(w.answer, r.model...) // a model's name needs no escapes
	w.answer = append(w.answer, '"')
	if single {
		w.answer = append(w.answer, ',')
		w.appendResult(0)
		w.answer = append(w.answer, '}', '\n')
		return
	}
	w.answer = append(w.answer, `,"predictions":[`...)
	for i := range w.results {
		if i > 0 {
			w.answer = append(w.answer, ',')
		}
		w.answer = append(w.answer, '{')
		w.appendResult(i)
		w.answer = append(w.answer, '}')
	}
	w.answer = append(w.answer, ']', '}', '\n')
}

// appendResult writes one row's members without braces.
func (w *work) appendResult(i int) {
	res := &w.results[i]
	out := append(w.answer, `"version":`...)
	out = strconv.AppendInt(out, int64(res.arm.number), 10)
	out = append(out, `,"arm":"`...)
	out = append(out, res.arm.name...)
	out = append(out, `","prediction_id":"`...)
	out = append(out, w.id(i)...)
	out = append(out, `","prediction":`...)
	label, score := res.arm.decide(res.scores)
	if label >= 0 {
		out = append(out, res.arm.classes[label]...)
	} else {
		out = appendFloat(out, score)
	}
	out = append(out, `,"score":`...)
	out = appendFloat(out, score)
	if res.arm.model.Signature.Task == spec.Multiclass {
		out = append(out, `,"scores":{`...)
		for k, p := range res.scores {
			if k > 0 {
				out = append(out, ',')
			}
			out = append(out, res.arm.classes[k]...)
			out = append(out, ':')
			out = appendFloat(out, p)
		}
		out = append(out, '}')
	}
	if res.fallback {
		out = append(out, `,"fallback":true`...)
	}
	w.answer = out
}

// decide is inference.Model.Decision with the class's index in place of its name; -1: a regression.
func (a *arm) decide(scores []float64) (class int, score float64) {
	switch a.model.Signature.Task {
	case spec.Binary:
		if scores[0] >= a.model.Signature.Threshold {
			return 1, scores[0]
		}
		return 0, scores[0]
	case spec.Multiclass:
		for k, p := range scores {
			if p > scores[class] {
				class = k
			}
		}
		return class, scores[class]
	}
	return -1, scores[0]
}

// label is the text of an answer, as in the prediction log.
func (a *arm) label(scores []float64) (label string, score float64) {
	class, score := a.decide(scores)
	if class < 0 {
		return strconv.FormatFloat(score, 'g', -1, 64), score
	}
	return a.model.Signature.Classes[class], score
}

// giveIDs makes a prediction id for every row.
func (w *work) giveIDs(ids *predictionIDs, now time.Time) {
	for range w.rows {
		w.ids = ids.append(w.ids, now)
	}
}

func (w *work) id(i int) []byte { return w.ids[i*predictionIDLength : (i+1)*predictionIDLength] }

// appendFloat writes the shortest number that reads back as f, which is finite.
func appendFloat(dst []byte, f float64) []byte { return strconv.AppendFloat(dst, f, 'g', -1, 64) }
