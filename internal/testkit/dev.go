package testkit

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leanloop/leanloop/internal/devstack"
	"github.com/leanloop/leanloop/internal/local"
)

// readyWithin is how long a stack whose programs are built may take to start.
const readyWithin = 90 * time.Second

// Dev is a stack of a test's own, started as a user does: `starter dev --data DIR`.
type Dev struct {
	*Stack
	process *local.Process
}

// StartDev starts `starter dev` on a folder, which may be that of an earlier one: it then goes on where that ended. It
// ends with the test at the latest, and with the test's process however that ends. like lends its programs.
func StartDev(t testing.TB, like *Stack, dir string) *Dev {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs /proc to find a program's processes")
	}
	d := &Dev{Stack: &Stack{Dir: dir, Programs: like.Programs, config: filepath.Join(dir, "config")}}
	if err := os.MkdirAll(d.config, 0o700); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "starter.log")
	var err error
	d.process, err = local.Launch(local.Command{
		Name: "starter dev", Path: like.Programs.Starter, Args: []string{"dev", "--data", dir}, Env: []string{"XDG_CONFIG_HOME=" + d.config}, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Stop(t) })
	Until(t, "starter dev to be ready", readyWithin, func() (bool, any) {
		select {
		case <-d.process.Done():
			text, _ := os.ReadFile(log)
			t.Fatalf("starter dev ended before it was ready:\n%s", text)
		default:
		}
		// The file is the last that it writes; one of an earlier process may be left.
		var ready struct{ PID int }
		raw, err := os.ReadFile(filepath.Join(dir, "leanloop.json"))
		if err == nil {
			err = json.Unmarshal(raw, &ready)
		}
		return err == nil && ready.PID == d.process.Pid(), err
	})
	if err := d.find(t.Context()); err != nil {
		t.Fatal(err)
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
	for pid, command := range children(d.process.Pid()) {
		if command == name {
			return pid
		}
	}
	t.Fatalf("starter dev (pid %d) runs no %s", d.process.Pid(), name)
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
	all := children(d.process.Pid())
	if len(all) != 3 {
		t.Fatalf("starter dev (pid %d) runs %v, want worker, gateway and devstack", d.process.Pid(), all)
	}
	d.process.Kill()
	for pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for pid, name := range all {
		Until(t, fmt.Sprintf("the end of %s (pid %d)", name, pid), 10*time.Second, func() (bool, any) {
			return syscall.Kill(pid, 0) != nil || zombie(pid), "it runs"
		})
	}
}

// Stop ends the stack as Ctrl-C does, and kills what is left of it.
func (d *Dev) Stop(t testing.TB) {
	all := children(d.process.Pid())
	for pid := range all { // one that was stopped can't end
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin+10*time.Second)
	defer cancel()
	if err := d.process.Stop(ctx); err != nil {
		t.Error(err)
		for pid := range all {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
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
