package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
)

// Columns of a reference that aren't features.
const (
	columnPrediction = "prediction"
	columnTarget     = "target"
)

// reference is a version's profile.json: what windows of its predictions are compared with.
type reference struct {
	// Training has the features of the rows that it was trained on, and their target.
	Training *profile.Profile `json:"training"`
	// Prediction is what it answered on its test rows, as one column. On the rows that it learned from it is surer than
	// it will be on any other, so that production would always have drifted from those; nil: no test row was left.
	Prediction *profile.Profile `json:"prediction,omitempty"`
}

// whole is the reference as one profile. Its columns are of different rows, so that it can be compared and drawn, but
// not stored.
func (r reference) whole() *profile.Profile {
	if r.Prediction == nil {
		return r.Training
	}
	return beside(r.Training, r.Prediction)
}

// beside is a profile with the columns of others, whose rows aren't its own.
func beside(p *profile.Profile, others ...*profile.Profile) *profile.Profile {
	out := *p
	out.Columns = slices.Clone(p.Columns)
	for _, o := range others {
		out.Columns = append(out.Columns, o.Columns...)
	}
	return &out
}

// profileColumn is a feature's column in a reference: its name, or "feature." and its name where that is one of the
// reference's own. A name that begins so gets the prefix too, so that no two features share a column.
func profileColumn(feature string) string {
	const prefix = "feature."
	if feature == columnPrediction || feature == columnTarget || (len(feature) >= len(prefix) && feature[:len(prefix)] == prefix) {
		return prefix + feature
	}
	return feature
}

// trainingProfile is a reference without predictions.
func trainingProfile(in training.Input) ([]byte, error) {
	t, err := in.Train.Project(append(slices.Clone(in.Features), in.Target))
	if err != nil {
		return nil, err
	}
	for i, name := range in.Features {
		t.Columns[i].Name = profileColumn(name)
	}
	t.Columns[len(in.Features)].Name = columnTarget
	p, err := profile.Of(t, profile.Options{Workers: in.Threads})
	if err != nil {
		return nil, err
	}
	return json.Marshal(reference{Training: p})
}

// answerOf is how a task's predictions are compared: the score of a yes or no and the value as numbers, the class of many
// by its name.
func answerOf(task spec.Task) predictions.Answer {
	if task == spec.Multiclass {
		return predictions.Answer{Name: columnPrediction, Type: dataset.Category.String()}
	}
	return predictions.Answer{Name: columnPrediction, Type: dataset.Number.String()}
}

// answerProfile is the profile of predictions, laid out as inference gives them.
func answerProfile(s inference.Signature, p []float64) (*profile.Profile, error) {
	c := dataset.Column{Name: columnPrediction, Kind: dataset.Number, Floats: p}
	if s.Task == spec.Multiclass {
		c = dataset.Column{Name: columnPrediction, Kind: dataset.Category, Dict: s.Classes}
		for row := range slices.Chunk(p, len(s.Classes)) {
			best := 0 // the first of equals, as the gateway answers
			for class, score := range row {
				if score > row[best] {
					best = class
				}
			}
			c.Codes = append(c.Codes, int32(best))
		}
	}
	return profile.Of(&dataset.Table{Rows: c.Len(), Columns: []dataset.Column{c}}, profile.Options{})
}

// withAnswers is the reference with the predictions that an evaluation stored.
func withAnswers(trained, answers []byte) ([]byte, error) {
	var r reference
	if err := json.Unmarshal(trained, &r); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answers, &r.Prediction); err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// reference reads the champion's; why says that it has none that can be compared with.
func (m *Monitors) reference(ctx context.Context, w watched) (r reference, why string, err error) {
	raw, err := m.artifact(ctx, w, fileProfile)
	if err != nil {
		return r, "", err
	}
	var head struct {
		Training *struct {
			Version int `json:"version"`
		} `json:"training"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return r, "", permanent(ErrorCorrupt, fmt.Errorf("version %d: %s: %w", w.version.Number, fileProfile, err))
	}
	if head.Training == nil || head.Training.Version != profile.Version {
		return r, fmt.Sprintf("version %d was made with a profile of another kind: retrain to watch it for drift (starter submit %s)", w.version.Number, w.model), nil
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, "", permanent(ErrorCorrupt, fmt.Errorf("version %d: %s: %w", w.version.Number, fileProfile, err))
	}
	return r, "", nil
}
