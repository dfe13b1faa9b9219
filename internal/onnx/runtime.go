package onnx

import "context"

// Runtime starts models. It is safe for concurrent use.
type Runtime interface {
	// Open makes a model ready to be asked as c says. A model that isn't taken is *ModelError; where nothing can run
	// any model, it is *Unavailable. ctx bounds the start alone: the session lives until it is closed.
	Open(ctx context.Context, c Call, model []byte) (Session, error)
}

// Session is a model that can be asked, by several at once.
type Session interface {
	// Score sends a request's frame (BeginRows, and the blocks) and gives the answer. When ctx ends first, its error
	// comes at once, and nobody may write to the frame any more. What the model refuses is *RefusedError; every other error is
	// the runtime's.
	Score(ctx context.Context, rows int, frame []byte) (Answer, error)
	// Close ends it. Closing twice is closing once.
	Close() error
}

// ModelError says that the runtime doesn't take a model.
type ModelError struct{ Message string }

func (e *ModelError) Error() string { return e.Message }

// RefusedError says that the runtime answered a request with an error.
type RefusedError struct{ Message string }

func (e *RefusedError) Error() string { return "ONNX Runtime: " + e.Message }

// Unavailable says that ONNX models can't be run here: what is missing, where it was looked for, and what to do.
type Unavailable struct {
	What   string   // onnxhost, or the library
	Looked []string // places and why not
	Do     string
}

func (e *Unavailable) Error() string {
	text := "ONNX models can't be scored here: " + e.What + " was not found"
	for i, place := range e.Looked {
		if i == 0 {
			text += " (looked for: "
		} else {
			text += "; "
		}
		text += place
	}
	if len(e.Looked) > 0 {
		text += ")"
	}
	return text + ". " + e.Do
}
