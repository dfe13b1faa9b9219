// Command worker hosts leanloop's workflows and activities. Its roles choose the task queues: lifecycle (workflows and
// light activities, and it looks for landed files), data (reads whole data sets) and train; slack listens for decisions.
//
//	worker [--roles lifecycle,data,train,slack] [--listen 127.0.0.1:7400]
//	worker health            exit 0 if the worker at --listen is ready
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/parent"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	c := configFromEnv(os.Getenv)
	cmd := &cobra.Command{
		Use:           "worker",
		Short:         "Host leanloop's workflows and activities",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hostname, _ := os.Hostname() // a machine without a name has a worker by its port
			c.name(hostname)
			if err := c.validate(); err != nil {
				return err
			}
			c.Temporal.Identity = c.ID
			logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: c.LogLevel}))
			ctx, stop := parent.Watch(cmd.Context())
			defer stop()
			return run(ctx, c, logger)
		},
	}
	c.flags(cmd.Flags())
	health := &cobra.Command{
		Use:   "health",
		Short: "Ask the worker at --listen whether it is ready",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return askHealth(cmd.Context(), c.Listen) },
	}
	health.Flags().StringVar(&c.Listen, "listen", c.Listen, "address of the worker's health endpoint")
	cmd.AddCommand(health, supervise())
	return cmd
}
