package devstack

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

const (
	rootModule  = "github.com/leanloop/leanloop"
	stackModule = rootModule + "/devstack"
	sourceEnv   = "LEANLOOP_DEVSTACK_DIR"
)

// findSource gives the folder of the devstack module: the one that
// LEANLOOP_DEVSTACK_DIR names, else devstack/ in the leanloop source tree that
// holds the working directory, else in the one this package was compiled from.
func findSource(getenv func(string) string, workdir string) (string, error) {
	if dir := getenv(sourceEnv); dir != "" {
		if moduleOf(dir) != stackModule {
			return "", fmt.Errorf("%s=%s: no go.mod of module %s there", sourceEnv, dir, stackModule)
		}
		return filepath.Abs(dir)
	}
	starts := []string{workdir}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		starts = append(starts, filepath.Dir(file))
	}
	for _, start := range starts {
		for dir := start; dir != ""; dir = parent(dir) {
			source := filepath.Join(dir, "devstack")
			if moduleOf(dir) == rootModule && moduleOf(source) == stackModule {
				return source, nil
			}
		}
	}
	return "", fmt.Errorf("the source of the development stack is not found from %s: run inside a clone of leanloop, "+
		"or set %s to its devstack folder, or %s to a built devstack program", workdir, sourceEnv, programEnv)
}

// parent gives the folder above, and "" above the root.
func parent(dir string) string {
	if up := filepath.Dir(dir); up != dir {
		return up
	}
	return ""
}

// moduleOf gives the module path that dir/go.mod declares, "" if none does.
func moduleOf(dir string) string {
	f, err := os.Open(filepath.Join(dir, "go.mod"))
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if path, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "module "); ok {
			return strings.Trim(strings.TrimSpace(path), `"`)
		}
	}
	return ""
}

// sourceKey names what a build of the module at dir gives: the SHA-256 (hex)
// of everything that goes into it, which is its Go files but tests, go.mod,
// go.sum, and each of traits (Go version, platform, variant).
func sourceKey(dir string, traits ...string) (string, error) {
	files, err := sourceFiles(dir)
	if err != nil {
		return "", fmt.Errorf("devstack source %s: %w", dir, err)
	}
	hash := sha256.New()
	for _, t := range traits {
		fmt.Fprintf(hash, "%d:%s\n", len(t), t)
	}
	for _, name := range files {
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return "", fmt.Errorf("devstack source: %w", err)
		}
		fmt.Fprintf(hash, "%d:%s %d\n", len(name), name, len(content))
		_, _ = hash.Write(content)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// sourceFiles lists what sourceKey hashes, as sorted slash paths below dir.
func sourceFiles(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != dir && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		isGo := strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
		if isGo || name == "go.mod" || name == "go.sum" {
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = errors.New("it has no Go files")
	}
	slices.Sort(files)
	return files, err
}
