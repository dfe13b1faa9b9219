package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
)

// Question is what a button asks: which run, over which evidence. It routes a click and binds it to what the person
// saw; that the person may decide, and that the run asks this at all, is the run's to say.
type Question struct {
	Lifecycle string `json:"lifecycle"` // workflow id: lifecycle/<model>/<n>
	Evidence  string `json:"evidence"`  // digest that the message showed
	Version   int    `json:"version"`
}

// lifecycleForm is a run's workflow id: a model's name as the spec allows it, and a number.
var lifecycleForm = regexp.MustCompile(`^lifecycle/([a-z0-9][a-z0-9-]{0,61}[a-z0-9])/([1-9][0-9]{0,8})$`)

var evidenceForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// String is the question as an Action's Value.
func (q Question) String() string {
	b, err := json.Marshal(q)
	if err != nil {
		panic("notify: a question doesn't marshal: " + err.Error()) // strings and a number always do
	}
	return string(b)
}

// Validate says what can't be a question of this project.
func (q Question) Validate() error {
	switch {
	case !lifecycleForm.MatchString(q.Lifecycle):
		return fmt.Errorf("question: %.80q isn't a run: want lifecycle/MODEL/N", q.Lifecycle)
	case !evidenceForm.MatchString(q.Evidence):
		return fmt.Errorf("question: evidence %.80q isn't the hex of a SHA-256", q.Evidence)
	case q.Version < 1:
		return fmt.Errorf("question: version %d < 1", q.Version)
	}
	return nil
}

// Model is the model that the question is about; "" of one that isn't valid.
func (q Question) Model() string {
	if m := lifecycleForm.FindStringSubmatch(q.Lifecycle); m != nil {
		return m[1]
	}
	return ""
}

// Run is the number of the run that asks; 0 of a question that isn't valid.
func (q Question) Run() int {
	if m := lifecycleForm.FindStringSubmatch(q.Lifecycle); m != nil {
		n, _ := strconv.Atoi(m[2]) // nine digits at most
		return n
	}
	return 0
}

// ParseQuestion reads a button's value back. A field that isn't a question's, such as a user, is an error: nothing that
// a value claims beyond the route may ever count.
func ParseQuestion(value string) (Question, error) {
	if len(value) > maxActionValue {
		return Question{}, fmt.Errorf("question: %d bytes > %d", len(value), maxActionValue)
	}
	var q Question
	d := json.NewDecoder(bytes.NewReader([]byte(value)))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return Question{}, fmt.Errorf("question: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Question{}, fmt.Errorf("question: more than one value")
	}
	return q, q.Validate()
}
