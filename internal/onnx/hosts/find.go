package hosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/leanloop/leanloop/internal/onnx"
)

const hostName = "onnxhost"

// found is what was found.
type found struct{ program, library string }

// find looks for the program and the library. What is missing is *onnx.Unavailable.
func (c Config) find(ctx context.Context) (found, error) {
	program, err := c.findProgram(ctx)
	if err != nil {
		return found{}, err
	}
	library, err := c.findLibrary(program)
	if err != nil {
		return found{}, err
	}
	return found{program, library}, nil
}

func (c Config) findProgram(ctx context.Context) (string, error) {
	missing := &onnx.Unavailable{What: "the program " + hostName,
		Do: fmt.Sprintf("Build it (CGO_ENABLED=0 go build ./%s), and put it beside this program or on PATH, or name it with %s", hostName, EnvHost)}
	if c.Host != "" {
		if err := executable(c.Host); err != nil {
			missing.Looked = []string{fmt.Sprintf("%s=%s: %v", EnvHost, c.Host, err)}
			return "", missing
		}
		return filepath.Abs(c.Host)
	}
	self := c.Executable
	if self == nil {
		self = os.Executable
	}
	if own, err := self(); err == nil {
		beside := filepath.Join(filepath.Dir(own), hostName)
		if executable(beside) == nil {
			return beside, nil
		}
		missing.Looked = append(missing.Looked, beside)
	}
	if path, err := exec.LookPath(hostName); err == nil {
		return filepath.Abs(path)
	}
	missing.Looked = append(missing.Looked, "PATH")
	if c.Build != nil {
		path, err := c.Build(ctx)
		if err == nil {
			return path, nil
		}
		missing.Looked = append(missing.Looked, fmt.Sprintf("a source checkout: %v", err))
	}
	return "", missing
}

func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return errors.New("no such file")
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return errors.New("not a program")
	}
	return nil
}

func (c Config) findLibrary(program string) (string, error) {
	missing := &onnx.Unavailable{What: "the library ONNX Runtime, 1.17 or newer",
		Do: fmt.Sprintf("Install it (from a release of onnxruntime, or the folder onnxruntime/capi that pip installs), and name the file or its folder with %s", EnvLibrary)}
	if c.Library != "" {
		info, err := os.Stat(c.Library)
		switch {
		case err != nil:
			missing.Looked = []string{fmt.Sprintf("%s=%s: no such file", EnvLibrary, c.Library)}
			return "", missing
		case !info.IsDir():
			return filepath.Abs(c.Library)
		}
		if path := libraryIn(c.Library); path != "" {
			return filepath.Abs(path)
		}
		missing.Looked = []string{fmt.Sprintf("%s=%s: the folder has no %s", EnvLibrary, c.Library, libraryNames()[0])}
		return "", missing
	}
	getenv := c.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	for _, folder := range usualFolders(program, getenv) {
		if path := libraryIn(folder); path != "" {
			return filepath.Abs(path)
		}
		missing.Looked = append(missing.Looked, filepath.Join(folder, libraryNames()[0]))
	}
	return "", missing
}

// libraryIn gives the library of a folder; "": none.
func libraryIn(folder string) string {
	for _, pattern := range libraryNames() {
		matches, err := filepath.Glob(filepath.Join(folder, pattern))
		if err == nil && len(matches) > 0 {
			return slices.Max(matches)
		}
	}
	return ""
}
