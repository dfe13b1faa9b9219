package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Files of the data folder. Each component has a folder of its own beside them.
const (
	lockName      = "lock"
	portsName     = "ports.json"
	keysName      = "s3-keys.json"  // 0600
	readyName     = "devstack.json" // 0600: the ready line, while it runs
	defaultRegion = "us-east-1"
)

// credentials are the keys of the S3 server's one account.
type credentials struct {
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// lockData takes the data folder for this process; the lock ends with it. The
// error names the process that has it.
func lockData(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := os.ReadFile(path)
		_ = f.Close()
		return nil, fmt.Errorf("data folder %s is in use by another devstack (pid %s): stop it, or name another folder",
			dir, strings.TrimSpace(string(holder)))
	}
	if err == nil {
		err = errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintln(os.Getpid())))
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	return f, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// loadKeys gives the S3 keys of the data folder, made at its first start.
func loadKeys(dir string) (credentials, error) {
	path := filepath.Join(dir, keysName)
	var c credentials
	switch err := readJSON(path, &c); {
	case err == nil:
		if c.AccessKey == "" || c.SecretKey == "" {
			return credentials{}, fmt.Errorf("%s: a key is empty", path)
		}
		return c, nil
	case !errors.Is(err, fs.ErrNotExist):
		return credentials{}, err
	}
	c = credentials{AccessKey: "leanloop" + randomHex(6), SecretKey: randomHex(20)}
	return c, writeJSON(path, c, 0o600)
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// randomUUID gives a version 4 UUID.
func randomUUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// loadPorts gives the ports of the last start; none if there was none. A file
// that can't be read costs the clients a reconnect, not the user the start.
func loadPorts(dir string) ports {
	var p ports
	if readJSON(filepath.Join(dir, portsName), &p) != nil || p.validate() != nil {
		return ports{}
	}
	return p
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON replaces a file whole, as one line.
func writeJSON(path string, v any, mode fs.FileMode) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, append(b, '\n'), mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
