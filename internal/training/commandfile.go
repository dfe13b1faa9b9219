package training

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/leanloop/leanloop/internal/inference"
)

// Bounds of a version that a program predicts by.
const (
	MaxModelFiles   = 1000
	MaxModelBytes   = 10 << 30
	maxModelPath    = 480 // bytes
	maxModelName    = 200 // bytes of a folder's or file's own name
	maxCommandBytes = 1 << 20
)

// ModelFolder is where a version's artifact has the files that its trainer left in SM_MODEL_DIR.
const ModelFolder = "model/"

// CommandFile is command.json: how a version of format command is predicted, for as long as there is this version,
// whatever later specs say.
type CommandFile struct {
	Version int      `json:"version"` // 1
	Command []string `json:"command"` // run as it is, without a shell
	// Code is the digest of the folder that it runs in, a code package; "": a folder of its own, empty at first.
	Code    string               `json:"code,omitempty"`
	Timeout float64              `json:"timeout_seconds"`
	CPUs    int                  `json:"cpus,omitempty"`
	Memory  int64                `json:"memory_bytes,omitempty"` // of each process; 0: unbounded
	Secrets []string             `json:"secrets,omitempty"`      // names
	Seed    uint64               `json:"seed"`
	Setup   *SetupFile           `json:"setup,omitempty"` // nil: it needs none
	Files   map[string]ModelFile `json:"files"`           // by their path in SM_MODEL_DIR
}

// SetupFile is the train.setup that makes what a version's program needs, from its code.
type SetupFile struct {
	Command []string `json:"command"` // run as it is, without a shell
	Files   []string `json:"files,omitempty"`
	Timeout float64  `json:"timeout_seconds"`
}

// Limit is how long it may take.
func (s SetupFile) Limit() time.Duration { return time.Duration(s.Timeout * float64(time.Second)) }

// ModelFile is one file that a trainer left.
type ModelFile struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

// Limit is how long one prediction may take.
func (c CommandFile) Limit() time.Duration { return time.Duration(c.Timeout * float64(time.Second)) }

// Marshal writes command.json; equal ones give equal bytes.
func (c CommandFile) Marshal() ([]byte, error) {
	if err := c.validate(); err != nil {
		return nil, &inference.FormatError{File: inference.CommandFile, Err: err}
	}
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(raw, '\n'), nil
}

// ParseCommandFile reads a command.json strictly. Whatever it holds, no name of it leads out of the folder that its files
// are put into. The error is an *inference.FormatError.
func ParseCommandFile(raw []byte) (CommandFile, error) {
	var c CommandFile
	if len(raw) > maxCommandBytes {
		return c, &inference.FormatError{File: inference.CommandFile, Err: fmt.Errorf("size: observed %d > limit %d bytes", len(raw), maxCommandBytes)}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(&c)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more data after the document's end")
		}
	}
	if err == nil {
		err = c.validate()
	}
	if err != nil {
		return CommandFile{}, &inference.FormatError{File: inference.CommandFile, Err: err}
	}
	return c, nil
}

func (c CommandFile) validate() error {
	switch {
	case c.Version != 1:
		return fmt.Errorf("version: observed %d, want 1", c.Version)
	case len(c.Command) == 0 || c.Command[0] == "":
		return errors.New("command: want a program and its arguments")
	case c.Code != "" && !isDigest(c.Code):
		return fmt.Errorf("code: observed %.80q, want a SHA-256 in hex", c.Code)
	case !(c.Timeout > 0 && c.Timeout <= 24*3600):
		return fmt.Errorf("timeout_seconds: observed %v, want over 0 and at most %d", c.Timeout, 24*3600)
	case c.CPUs < 0 || c.Memory < 0:
		return fmt.Errorf("cpus %d, memory_bytes %d: want none below 0", c.CPUs, c.Memory)
	case c.Setup != nil && (len(c.Setup.Command) == 0 || c.Setup.Command[0] == "" || !(c.Setup.Timeout > 0 && c.Setup.Timeout <= 24*3600)):
		return fmt.Errorf("setup: observed %.200v, want a program, its arguments and a timeout of at most %d s", *c.Setup, 24*3600)
	case len(c.Files) == 0 || len(c.Files) > MaxModelFiles:
		return fmt.Errorf("files: observed %d, want 1 to %d", len(c.Files), MaxModelFiles)
	}
	total := int64(0)
	for name, f := range c.Files {
		if err := checkModelPath(name); err != nil {
			return err
		}
		if !isDigest(f.SHA256) || f.Size < 0 || f.Size > MaxModelBytes {
			return fmt.Errorf("files: %q: observed digest %.80q and %d bytes, want a SHA-256 in hex and at most %d", name, f.SHA256, f.Size, int64(MaxModelBytes))
		}
		total += f.Size
	}
	if total > MaxModelBytes {
		return fmt.Errorf("files: observed %d bytes > limit %d", total, int64(MaxModelBytes))
	}
	return nil
}

func isDigest(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == 32 && strings.ToLower(text) == text
}

// checkModelPath holds a name to what every store and disk can keep below a folder.
func checkModelPath(name string) error {
	odd := func(r rune) bool { return unicode.IsControl(r) || r == '\\' || r == ':' }
	long := func(part string) bool { return len(part) > maxModelName }
	switch {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, odd):
		return fmt.Errorf("file %.80q: its name isn't UTF-8 without control characters, backslashes and colons", name)
	case name == "." || !fs.ValidPath(name) || len(name) > maxModelPath || slices.ContainsFunc(strings.Split(name, "/"), long):
		return fmt.Errorf("file %.80q: its name isn't a path below the folder, of %d bytes at most, %d for each part", name, maxModelPath, maxModelName)
	}
	return nil
}
