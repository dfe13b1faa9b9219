// Package parent ends a program with the one that started it. A process that runs leanloop's programs holds their
// standard input and says so in their environment; the pipe closes however that process ends, even by SIGKILL. Without
// the variable, as in production, nothing is watched.
package parent

import (
	"context"
	"io"
	"os"
)

// Environment is the variable that, when it isn't empty, says that standard input is held by the parent.
const Environment = "LEANLOOP_PARENT_PIPE"

// Watch ends the context when the parent is gone, if there is one that said so. Standard input is read from then on,
// and what comes is thrown away.
func Watch(ctx context.Context) (context.Context, context.CancelFunc) {
	if os.Getenv(Environment) == "" {
		return context.WithCancel(ctx)
	}
	return watch(ctx, os.Stdin)
}

func watch(ctx context.Context, held io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		if _, err := io.Copy(io.Discard, held); err == nil { // an input that can't be read says nothing about the parent
			cancel()
		}
	}()
	return ctx, cancel
}
