//go:build amd64 || arm64

package main

import "golang.org/x/sys/unix"

// limitMemory bounds this process's private writable memory, in bytes; 0: it doesn't. RLIMIT_DATA and not RLIMIT_AS,
// since Go reserves far more addresses than it uses. See getrlimit(2).
func limitMemory(bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &own); err != nil {
		return err
	}
	limit := min(uint64(bytes), own.Max)
	return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit})
}
