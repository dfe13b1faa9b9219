//go:build unix && !linux

package main

import "syscall"

// childAttributes put a child in a process group of its own, so that Ctrl-C
// reaches it through this program alone. Nothing here ends it if this program
// is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
