package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Files of a development stack's addresses. Both hold, or lead to, the S3 secret key, so only their owner reads them.
const (
	devContextFile = "leanloop.json" // in the stack's data folder
	devPointerFile = "dev.json"      // in the user's configuration folder, below leanloop/
)

// DevContext is where a running development stack answers: everything that a command in another terminal needs.
type DevContext struct {
	Data      string `json:"data"` // the stack's data folder, absolute
	PID       int    `json:"pid,omitempty"`
	Temporal  string `json:"temporal"` // host:port
	Namespace string `json:"namespace"`
	// OwnTemporal is whether the stack started Temporal itself: then no profile's keys are for it.
	OwnTemporal bool   `json:"own_temporal"`
	S3          DevS3  `json:"s3"`
	Bucket      string `json:"bucket"`
	Influx      string `json:"influx,omitempty"`
	Gateway     string `json:"gateway,omitempty"`
	TemporalUI  string `json:"temporal_ui,omitempty"`
}

// DevS3 is the stack's object store.
type DevS3 struct {
	Endpoint  string `json:"endpoint"`
	Region    string `json:"region"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// devPointer names the newest stack.
type devPointer struct {
	Data string `json:"data"`
}

// WriteDevContext leaves a stack's addresses in its data folder and makes it the newest one of the user whose
// configuration folder (os.UserConfigDir) this is.
func WriteDevContext(configDir string, c DevContext) error {
	if err := leaveDevContext(c); err != nil {
		return err
	}
	return pointDevContext(configDir, c.Data)
}

// WriteGuestContext leaves a stack's addresses as WriteDevContext does, and makes it the newest one only where no
// other runs: commands meant for somebody's own models must not go to a demo that is started beside them.
func WriteGuestContext(configDir string, c DevContext) error {
	if err := leaveDevContext(c); err != nil {
		return err
	}
	if _, runs, err := NewestDevContext(configDir); err == nil && runs {
		return nil
	}
	return pointDevContext(configDir, c.Data)
}

// leaveDevContext writes a stack's addresses to its data folder.
func leaveDevContext(c DevContext) error {
	abs, err := filepath.Abs(c.Data)
	if err != nil {
		return fmt.Errorf("development stack: %w", err)
	}
	c.Data = abs
	if err := writePrivate(filepath.Join(abs, devContextFile), c); err != nil {
		return fmt.Errorf("development stack: %w", err)
	}
	return nil
}

// pointDevContext makes the stack of a data folder the newest one.
func pointDevContext(configDir, data string) error {
	abs, err := filepath.Abs(data)
	if err != nil {
		return fmt.Errorf("development stack: %w", err)
	}
	if err := writePrivate(filepath.Join(configDir, "leanloop", devPointerFile), devPointer{Data: abs}); err != nil {
		return fmt.Errorf("development stack: %w", err)
	}
	return nil
}

// RemoveDevContext forgets a stack that stopped. Another one that has become the newest meanwhile stays it.
func RemoveDevContext(configDir, data string) error {
	abs, err := filepath.Abs(data)
	if err != nil {
		return fmt.Errorf("development stack: %w", err)
	}
	gone := func(path string) error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("development stack: %w", err)
		}
		return nil
	}
	var p devPointer
	pointer := filepath.Join(configDir, "leanloop", devPointerFile)
	if err := readJSONFile(pointer, &p); err == nil && p.Data == abs {
		if err := gone(pointer); err != nil {
			return err
		}
	}
	return gone(filepath.Join(abs, devContextFile))
}

// ReadDevContext reads the addresses of the stack that runs on a data folder. A folder without one is an error that
// is fs.ErrNotExist.
func ReadDevContext(data string) (DevContext, error) {
	var c DevContext
	path := filepath.Join(data, devContextFile)
	if err := readJSONFile(path, &c); err != nil {
		return c, err
	}
	switch {
	case c.Temporal == "":
		return c, fmt.Errorf("%s: temporal is missing", path)
	case c.S3.Endpoint == "":
		return c, fmt.Errorf("%s: s3.endpoint is missing", path)
	}
	abs, err := filepath.Abs(data)
	c.Data = abs
	return c, err
}

// runs is whether the program that started the stack is still there. One that was killed left its addresses behind.
func (c DevContext) runs() bool {
	if c.PID == 0 {
		return true // it didn't say
	}
	err := syscall.Kill(c.PID, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// NewestDevContext is the stack that was started last, if one is remembered; ok is false where it no longer runs.
func NewestDevContext(configDir string) (c DevContext, ok bool, err error) {
	var p devPointer
	err = readJSONFile(filepath.Join(configDir, "leanloop", devPointerFile), &p)
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	c, err = ReadDevContext(p.Data)
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil // its folder was removed
	}
	return c, err == nil && c.runs(), err
}

// writePrivate replaces a file as a whole, readable by its owner alone.
func writePrivate(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

func readJSONFile(path string, v any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
