package training

import (
	"context"
	"errors"
)

// RunCommand runs a model owner's program.
func RunCommand(context.Context, CommandSpec, Input, func(Progress)) (*Output, error) {
	return nil, errors.New("not available yet")
}
