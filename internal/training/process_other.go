//go:build unix && !linux

package training

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the program a process group of its own. Without a parent-death signal it outlives a killed worker.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit waits until the program has ended, and reaps it: only Linux can wait without that here, so the group's id
// is free for another process for the moment before what is left of the group is killed.
func awaitExit(c *exec.Cmd) { _ = c.Wait() }
