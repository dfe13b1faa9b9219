package main

import "syscall"

// childAttributes put a child in a process group of its own, so that Ctrl-C
// reaches it through this program alone, and let the kernel end it when this
// program dies without a word.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
