//go:build unix && !linux

package training

import "syscall"

// adopt does nothing: only Linux lets a process take over the orphans below it. A tree is its process group here, and a
// daemon that left it isn't followed.
func adopt() error { return nil }

// signal sends to the program's group; an empty one is no error.
func (t *tree) signal(s syscall.Signal) { _ = syscall.Kill(-t.command.Process.Pid, s) }

func (t *tree) killOnce() { t.signal(syscall.SIGKILL) }

// sweep can't look into other processes here.
func sweep(string) {}
