package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/training"
)

// superviseName is the subcommand by which a worker runs itself again for each trainer.
const superviseName = "supervise-trainer"

// supervisorCommand is this program as a supervisor. On Linux it is the very file that runs, even if an update has
// replaced it on disk meanwhile: both ends speak the same protocol.
func supervisorCommand() ([]string, error) {
	if runtime.GOOS == "linux" {
		return []string{"/proc/self/exe", superviseName}, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("supervisor of trainers: %w", err)
	}
	return []string{self, superviseName}, nil
}

// supervise is the hidden subcommand; only a worker starts it.
func supervise() *cobra.Command {
	return &cobra.Command{
		Use:    superviseName,
		Short:  "Look after one trainer for the worker that started this",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if code := training.Supervise(); code != 0 {
				return fmt.Errorf("supervisor ended with code %d", code)
			}
			return nil
		},
	}
}
