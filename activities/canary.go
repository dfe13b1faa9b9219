package activities

import "github.com/leanloop/leanloop/internal/canary"

// CanaryInput starts a canary. State is nil at first, and what was reached after a continue-as-new.
type CanaryInput struct {
	Model     string        `json:"model"`
	Version   int           `json:"version"`
	Champion  int           `json:"champion"`
	Epoch     int64         `json:"epoch"`
	Lifecycle string        `json:"lifecycle"`
	Spec      string        `json:"spec"`
	Team      string        `json:"team,omitempty"`
	State     *canary.State `json:"state,omitempty"`
	Tick      int           `json:"tick"`
	// Carried over with State: the last look, and the message that asks people, where one does.
	Last  *canary.Look   `json:"last,omitempty"`
	Asked *MessageOutput `json:"asked,omitempty"`
}

// CanaryResult is how it ended: Outcome is promoted (the weights are the lifecycle's to set) or rolled_back.
type CanaryResult struct {
	Outcome string             `json:"outcome"`
	Reason  string             `json:"reason"`
	Actor   string             `json:"actor,omitempty"` // a person who ended it
	Via     string             `json:"via,omitempty"`
	Last    []canary.Judgement `json:"last,omitempty"`
}
