//go:build unix

package setup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/training"
)

// Plan is what makes an environment. Equal plans on the same machine make the same one.
type Plan struct {
	Command []string // run as it is, without a shell, in the environment's folder
	// Files are paths below Code, of files or whole folders, that are laid out in the environment before: all that the
	// command sees of the code. None: all of it.
	Files   []string
	Code    string // folder; "": there is no code
	Timeout time.Duration
	Secrets map[string]string // in the command's environment. They are no part of what environments are told apart by

	Supervisor []string      // as in training.CommandSpec
	Grace      time.Duration // 0: 10 s
	Log        io.Writer     // what the command prints; nil: dropped
}

// identity is what environments are told apart by.
type identity struct {
	Version  int               `json:"version"`
	Command  []string          `json:"command"`
	Files    map[string]string `json:"files"` // digests; those of programs end with +x
	Platform string            `json:"platform"`
	System   string            `json:"system"`  // digest of os-release: another image, another environment
	Program  string            `json:"program"` // what the command's name is on this machine, with size and time
}

// digest is the plan's key, and the files that it is made of, sorted.
func (p Plan) digest() (key string, files []string, err error) {
	if len(p.Command) == 0 || p.Command[0] == "" {
		return "", nil, &training.ParamError{Param: "train.setup.command", Observed: p.Command, Want: "a program and its arguments"}
	}
	if files, err = p.list(); err != nil {
		return "", nil, err
	}
	id := identity{
		Version: 1, Command: p.Command, Files: map[string]string{}, Platform: runtime.GOOS + "/" + runtime.GOARCH, Program: program(p.Command[0]),
	}
	if raw, err := os.ReadFile("/etc/os-release"); err == nil {
		id.System = hexDigest(raw)
	}
	for _, name := range files {
		path := filepath.Join(p.Code, filepath.FromSlash(name))
		raw, err := os.ReadFile(path)
		if err != nil {
			return "", nil, fmt.Errorf("train.setup.files: %w", err)
		}
		info, err := os.Stat(path)
		if err != nil {
			return "", nil, fmt.Errorf("train.setup.files: %w", err)
		}
		id.Files[name] = hexDigest(raw)
		if info.Mode()&0o111 != 0 {
			id.Files[name] += "+x"
		}
	}
	raw, err := json.Marshal(id)
	if err != nil {
		return "", nil, err
	}
	return hexDigest(raw), files, nil
}

// list are the regular files that the plan names.
func (p Plan) list() ([]string, error) {
	if p.Code == "" {
		if len(p.Files) > 0 {
			return nil, &training.InputError{What: "train.setup.files", Observed: p.Files[0] + ", and the spec was applied without its folder", Limit: "files beside model.yaml"}
		}
		return nil, nil
	}
	roots := p.Files
	if len(roots) == 0 {
		roots = []string{"."}
	}
	var files []string
	for _, root := range roots {
		if !fs.ValidPath(root) {
			return nil, &training.ParamError{Param: "train.setup.files", Observed: root, Want: "a path below the folder of model.yaml"}
		}
		err := fs.WalkDir(os.DirFS(p.Code), root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.Type().IsRegular():
				files = append(files, path)
			case !d.IsDir():
				return &training.InputError{What: "train.setup.files", Observed: path + " is no regular file", Limit: "regular files"}
			}
			return nil
		})
		if errors.Is(err, fs.ErrNotExist) {
			err = &training.InputError{What: "train.setup.files", Observed: root + " isn't in the code package", Limit: "files beside model.yaml that starter apply packs"}
		}
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// layOut copies the plan's files.
func (p Plan) layOut(files []string, into string) error {
	for _, name := range files {
		from, to := filepath.Join(p.Code, filepath.FromSlash(name)), filepath.Join(into, filepath.FromSlash(name))
		raw, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("train.setup.files: %w", err)
		}
		info, err := os.Stat(from)
		if err != nil {
			return fmt.Errorf("train.setup.files: %w", err)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return fmt.Errorf("environment: %w", err)
		}
		if err := os.WriteFile(to, raw, info.Mode().Perm()|0o600); err != nil {
			return fmt.Errorf("environment: %w", err)
		}
	}
	return nil
}

// run runs the command in the environment's folder, and holds lock by it.
func (p Plan) run(ctx context.Context, env, home string, lock *os.File) error {
	held, err := (&Environment{held: []*os.File{lock}}).Locks()
	if err != nil {
		return err
	}
	defer func() { _ = held[0].Close() }()
	log := p.Log
	if log == nil {
		log = io.Discard
	}
	_, err = training.RunProgram(ctx, training.Program{
		Supervisor: p.Supervisor, Grace: p.Grace, Argv: p.Command, Dir: env, Home: home, EnvDir: env, Env: p.Secrets, Timeout: p.Timeout, Locks: held, LogTo: log,
	})
	if err != nil {
		return fmt.Errorf("train.setup: %w", err)
	}
	return nil
}

// program tells the version of what a command's name is on this machine, without running it; "" where it is a file of the
// code, or none.
func program(name string) string {
	if strings.Contains(name, "/") && !filepath.IsAbs(name) {
		return ""
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return ""
	}
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano())
}

func hexDigest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
