//go:build unix && !linux

package training

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
)

// ownGroup gives the program a process group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// startWithin starts the program. A limit of memory can't be kept here, and one that isn't kept is refused.
func startWithin(c *exec.Cmd, memory int64) error {
	if memory > 0 {
		return fmt.Errorf("train.resources.memory: observed %d bytes on %s, want none: %w", memory, runtime.GOOS, errors.ErrUnsupported)
	}
	return c.Start()
}
