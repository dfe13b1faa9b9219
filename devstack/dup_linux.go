package main

import "golang.org/x/sys/unix"

// dup2 makes newfd a copy of oldfd. Some Linux platforms have dup3 only.
func dup2(oldfd, newfd int) error { return unix.Dup3(oldfd, newfd, 0) }
