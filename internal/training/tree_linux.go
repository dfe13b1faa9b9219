package training

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// mostStops bounds how often a tree that forks is looked at before it is killed as far as it is known.
const mostStops = 50

// adopt makes this process the parent of every orphan below it, and keeps what it starts from becoming another user, whom
// it couldn't signal: setuid programs (sudo) run without their powers. The second is the calling thread's.
func adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the child subreaper: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	return nil
}

// member is a process of a tree. Its start tells it from a later one of the same id.
type member struct {
	pid, parent int
	started     uint64 // in clock ticks since the system's start
	ended       bool   // and waits to be reaped
}

// signal sends to every process of the tree, a daemon's too.
func (t *tree) signal(s syscall.Signal) {
	for _, m := range descendants(os.Getpid()) {
		m.signal(s)
	}
}

// killOnce stops the tree process by process until no look finds a new one, since what is stopped can't fork, and then
// kills it.
func (t *tree) killOnce() {
	stopped := map[member]bool{}
	for range mostStops {
		fresh := false
		for _, m := range descendants(os.Getpid()) {
			key := member{pid: m.pid, started: m.started}
			if !stopped[key] {
				m.signal(syscall.SIGSTOP)
				stopped[key], fresh = true, true
			}
		}
		if !fresh {
			break
		}
	}
	t.signal(syscall.SIGKILL)
}

// descendants are the processes below one, those that ended left out.
func descendants(root int) []member {
	children := map[int][]member{}
	for _, m := range processes() {
		children[m.parent] = append(children[m.parent], m)
	}
	var found []member
	seen := map[int]bool{root: true}
	for next := []int{root}; len(next) > 0; next = next[1:] {
		for _, m := range children[next[0]] {
			if seen[m.pid] { // ids were taken anew between two reads
				continue
			}
			seen[m.pid] = true
			next = append(next, m.pid)
			if !m.ended {
				found = append(found, m)
			}
		}
	}
	return found
}

func processes() []member {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []member
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if m, ok := readMember(pid); ok {
				all = append(all, m)
			}
		}
	}
	return all
}

// readMember reads /proc/<pid>/stat, see proc_pid_stat(5): after the name, which may hold anything, stand the state, the
// parent and, as the 20th, the start.
func readMember(pid int) (member, bool) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return member{}, false
	}
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	if len(fields) < 20 {
		return member{}, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return member{}, false
	}
	started, err := strconv.ParseUint(string(fields[19]), 10, 64)
	return member{pid: pid, parent: parent, started: started, ended: fields[0][0] == 'Z' || fields[0][0] == 'X'}, err == nil
}

// signal sends to this process and no other that got its id: the id is held while the start is compared.
func (m member) signal(s syscall.Signal) {
	fd, err := unix.PidfdOpen(m.pid, 0)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // before Linux 5.3, or a sandbox
		if now, ok := readMember(m.pid); ok && now.started == m.started {
			_ = syscall.Kill(m.pid, s)
		}
		return
	}
	if err != nil {
		return // it is gone
	}
	defer func() { _ = unix.Close(fd) }()
	if now, ok := readMember(m.pid); ok && now.started == m.started {
		_ = unix.PidfdSendSignal(fd, s, nil, 0)
	}
}

// sweep kills what has a variable in its environment: what is left of a tree whose supervisor was killed.
func sweep(variable string) {
	for _, m := range processes() {
		environ, err := os.ReadFile("/proc/" + strconv.Itoa(m.pid) + "/environ")
		if err != nil || m.pid == os.Getpid() {
			continue
		}
		for entry := range bytes.SplitSeq(environ, []byte{0}) {
			if string(entry) == variable {
				m.signal(syscall.SIGKILL)
			}
		}
	}
}
