package testkit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leanloop/leanloop/internal/devstack"
)

// readyWithin is how long a stack whose programs are built may take to start.
const readyWithin = 90 * time.Second

// Dev is a stack of a test's own, started as a user does: `starter dev --data DIR`.
type Dev struct {
	*Stack
	cmd  *exec.Cmd
	done chan struct{}
}

// StartDev starts `starter dev` on a folder, which may be that of an earlier one: it then goes on where that ended. It
// ends with the test at the latest. like lends its programs.
func StartDev(t testing.TB, like *Stack, dir string) *Dev {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs /proc to find a program's processes")
	}
	d := &Dev{done: make(chan struct{}), Stack: &Stack{Dir: dir, Programs: like.Programs, config: filepath.Join(dir, "config")}}
	d.cmd = exec.Command(like.Programs.Starter, "dev", "--data", dir, "-o", "json")
	d.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+d.config)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := os.MkdirAll(d.config, 0o700); err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "starter.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	d.cmd.Stderr = log
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatalf("starter dev: %v", err)
	}
	t.Cleanup(func() { d.Stop(t) })
	ready := make(chan error, 1)
	go func() {
		var printed json.RawMessage
		r := bufio.NewReader(stdout)
		ready <- json.NewDecoder(r).Decode(&printed)
		for {
			if _, err := r.Discard(1 << 12); err != nil {
				break
			}
		}
		_ = d.cmd.Wait()
		close(d.done)
	}()
	select {
	case err = <-ready:
	case <-time.After(readyWithin):
		err = fmt.Errorf("not ready within %s", readyWithin)
	}
	if err == nil {
		err = d.find(t.Context())
	}
	if err != nil {
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("starter dev: %v\n%s", err, text)
	}
	t.Cleanup(d.disconnect)
	return d
}

// find reads where the stack answers and connects to it.
func (d *Dev) find(ctx context.Context) error {
	var err error
	if d.servers, err = devstack.Running(ctx, filepath.Join(d.Dir, "devstack")); err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(d.Dir, "addresses.json"))
	if err != nil {
		return err
	}
	var own struct{ Gateway, Admin string }
	if err := json.Unmarshal(raw, &own); err != nil {
		return err
	}
	d.Gateway, d.Admin = "http://"+own.Gateway, "http://"+own.Admin
	return d.connect(ctx)
}

// Process is the id of one of the stack's programs: worker, gateway or devstack.
func (d *Dev) Process(t testing.TB, name string) int {
	t.Helper()
	for pid, command := range children(d.cmd.Process.Pid) {
		if command == name {
			return pid
		}
	}
	t.Fatalf("starter dev (pid %d) runs no %s", d.cmd.Process.Pid, name)
	return 0
}

// Signal sends a signal to one of the stack's programs.
func (d *Dev) Signal(t testing.TB, name string, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(d.Process(t, name), s); err != nil {
		t.Fatalf("signal %s to %s: %v", s, name, err)
	}
}

// KillAll ends everything with SIGKILL: the starter first, then, at once, all that it had started.
func (d *Dev) KillAll(t testing.TB) {
	t.Helper()
	all := children(d.cmd.Process.Pid)
	if len(all) != 3 {
		t.Fatalf("starter dev (pid %d) runs %v, want worker, gateway and devstack", d.cmd.Process.Pid, all)
	}
	_ = d.cmd.Process.Kill()
	for pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-d.done
	for pid, name := range all {
		Until(t, fmt.Sprintf("the end of %s (pid %d)", name, pid), 10*time.Second, func() (bool, any) {
			return syscall.Kill(pid, 0) != nil || zombie(pid), "it runs"
		})
	}
}

// Stop ends the stack as Ctrl-C does, and kills what is left of it.
func (d *Dev) Stop(t testing.TB) {
	select {
	case <-d.done:
		return
	default:
	}
	all := children(d.cmd.Process.Pid)
	for pid := range all { // a stopped one can't end
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	_ = d.cmd.Process.Signal(os.Interrupt)
	select {
	case <-d.done:
		return
	case <-time.After(stopWithin + 10*time.Second):
		t.Errorf("starter dev (pid %d) didn't stop and was killed", d.cmd.Process.Pid)
	}
	_ = d.cmd.Process.Kill()
	for pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-d.done
}

// children are the processes that a process started and that run: id and command.
func children(parent int) map[int]string {
	found := map[int]string{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return found
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := processOf(pid); ok && p.parent == parent && p.state != "Z" {
			found[pid] = p.command
		}
	}
	return found
}

func zombie(pid int) bool {
	p, ok := processOf(pid)
	return !ok || p.state == "Z"
}

// process is what /proc/<pid>/stat says; see proc_pid_stat(5).
type process struct {
	command, state string
	parent         int
}

func processOf(pid int) (process, bool) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	// pid (command) state parent ...; the command may hold spaces and brackets.
	text := string(raw)
	open, shut := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || shut < open {
		return process{}, false
	}
	fields := strings.Fields(text[shut+1:])
	if len(fields) < 2 {
		return process{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	return process{command: text[open+1 : shut], state: fields[0], parent: parent}, err == nil
}
