//go:build unix && !linux

package training

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
)

// ownGroup gives the program a process group of its own. Without a parent-death signal it outlives a killed worker.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// startWithin starts the program. A limit of memory can't be kept here, and one that isn't kept is refused.
func startWithin(c *exec.Cmd, memory int64) error {
	if memory > 0 {
		return fmt.Errorf("train.resources.memory: observed %d bytes on %s, want none: %w", memory, runtime.GOOS, errors.ErrUnsupported)
	}
	return c.Start()
}

// awaitExit waits until the program has ended, and reaps it: only Linux can wait without that here, so the group's id
// is free for another process for the moment before what is left of the group is killed.
func awaitExit(c *exec.Cmd) { _ = c.Wait() }
