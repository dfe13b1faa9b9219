package training

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup gives the program a process group of its own, and ends it if its supervisor is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// startWithin starts the program with a limit on the private writable memory of each of its processes, in bytes; 0: none.
// The limit is RLIMIT_DATA, not RLIMIT_AS: runtimes reserve far more addresses than they use. See getrlimit(2).
//
// The limit has to be there before the program runs. So the child is traced, which stops it at its exec, before the
// first instruction of the program; then it is limited and let go. Only the thread that started it may do that: the
// caller has locked itself to it.
func startWithin(c *exec.Cmd, memory int64) error {
	if memory <= 0 {
		return c.Start()
	}
	c.SysProcAttr.Ptrace = true
	if err := c.Start(); err != nil {
		return err
	}
	err := limitStopped(c.Process.Pid, uint64(memory))
	if err != nil {
		_ = c.Process.Kill()
		_ = c.Wait()
		return fmt.Errorf("limit of memory, %d bytes: %w", memory, err)
	}
	return nil
}

// limitStopped limits a traced child that stops at its exec, and lets it go. One that was killed meanwhile is left for
// who waits for its end.
func limitStopped(pid int, memory uint64) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait: %w", err)
		}
	}
	var own unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, nil, &own); err != nil {
		return fmt.Errorf("prlimit: %w", err)
	}
	limit := min(memory, own.Max) // the worker's own may be lower, and can't be raised
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
		return fmt.Errorf("prlimit: %w", err)
	}
	if err := unix.PtraceDetach(pid); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("ptrace: %w", err)
	}
	return nil
}
