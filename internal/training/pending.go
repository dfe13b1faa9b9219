package training

import (
	"context"
	"errors"
)

func trainTrees(context.Context, Input, func(Progress)) (*Output, error) {
	return nil, errors.New("not available yet")
}

func trainLinear(context.Context, Input, func(Progress)) (*Output, error) {
	return nil, errors.New("not available yet")
}

// RunCommand runs a model owner's program.
func RunCommand(context.Context, CommandSpec, Input, func(Progress)) (*Output, error) {
	return nil, errors.New("not available yet")
}
