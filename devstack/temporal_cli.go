package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// startCLI runs `temporal server start-dev` over the file <data>/temporal/
// cli.db: not the embedded server's file, since the two may be of different
// versions.
func (s *stack) startCLI(context.Context) ([]component, error) {
	dir := filepath.Join(s.data, "temporal")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	args, err := s.cliArgs(filepath.Join(dir, "cli.db"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(s.temporalCLI, args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.temporalCLI, err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		close(ended)
	}()
	address := loopback(s.ports.Temporal)
	conn, err := dialTemporal(address)
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill())
	}
	up := []component{{
		name: "temporal", source: "cli", address: address, check: checkTemporal(conn), ended: ended,
		stop: func(ctx context.Context) error {
			return errors.Join(conn.Close(), endChild(ctx, cmd.Process, ended))
		},
	}}
	if s.noUI {
		return up, nil
	}
	url := "http://" + loopback(s.ports.UI)
	return append(up, component{name: "ui", source: "cli", address: url, check: checkHTTP(url)}), nil
}

// cliArgs gives the command line of the development server, with the settings
// of the embedded one.
func (s *stack) cliArgs(database string) ([]string, error) {
	args := []string{
		"server", "start-dev",
		"--ip", "127.0.0.1",
		"--port", strconv.Itoa(s.ports.Temporal),
		"--db-filename", database,
		"--namespace", s.namespace,
		"--log-level", "warn",
	}
	if s.noUI {
		args = append(args, "--headless")
	} else {
		args = append(args, "--ui-port", strconv.Itoa(s.ports.UI))
	}
	for _, name := range slices.Sorted(maps.Keys(s.searchAttributes)) {
		args = append(args, "--search-attribute", name+"="+s.searchAttributes[name])
	}
	for _, v := range serverSettings() {
		value, err := json.Marshal(v.value)
		if err != nil {
			return nil, fmt.Errorf("setting %s: %w", v.key, err)
		}
		args = append(args, "--dynamic-config-value", v.key+"="+string(value))
	}
	pragmas := databaseSettings()
	for _, name := range slices.Sorted(maps.Keys(pragmas)) {
		args = append(args, "--sqlite-pragma", name+"="+pragmas[name])
	}
	return args, nil
}

// endChild asks a child to end, and kills it when ctx ends first.
func endChild(ctx context.Context, child *os.Process, ended <-chan error) error {
	if err := child.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	select {
	case <-ended: // its exit status after SIGTERM says nothing
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), child.Kill())
	}
}
