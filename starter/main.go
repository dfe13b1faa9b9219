// Command starter is the operators' tool: it applies specs, submits data, follows runs, takes decisions, steers
// traffic, and reads and verifies what was decided.
//
// Where do I add a command? One file per command group: an options struct of dependencies and flags, a constructor
// that only parses, and a plain run(ctx, options). root.go lists the constructors, exit.go maps errors to exit codes,
// engine.go is all that is asked of Temporal.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // SIGHUP: the terminal is gone
	a := newApp()
	code := a.execute(ctx, os.Args[1:])
	a.close()
	stop()
	os.Exit(code)
}
