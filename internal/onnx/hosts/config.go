// Package hosts runs ONNX models in processes of their own: for each model a few of the program onnxhost, which loads
// the ONNX Runtime library. A host that crashes, hangs or grows beyond its memory fails the request it was at, and is
// started again; nothing of it reaches the process that asked. Hosts end with the process that started them.
package hosts

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// The variables that ConfigFrom reads.
const (
	EnvHost      = "LEANLOOP_ONNX_HOST"      // the program onnxhost
	EnvLibrary   = "ONNXRUNTIME_LIB"         // the library, or the folder that it lies in
	EnvProcesses = "LEANLOOP_ONNX_PROCESSES" // for each model
	EnvThreads   = "LEANLOOP_ONNX_THREADS"   // of each process
	EnvMemory    = "LEANLOOP_ONNX_MEMORY"    // MiB of each process
	EnvTimeout   = "LEANLOOP_ONNX_TIMEOUT"   // of one question
)

// Config says what runs ONNX models, and how much of it. The zero value finds everything by itself.
type Config struct {
	Host      string        // the program onnxhost; "": beside this program, then on PATH, then made by Build
	Library   string        // libonnxruntime, or its folder; "": the usual places
	Processes int           // for each model; 0: one a CPU, at most 4
	Threads   int           // of each process for one question; 0: 1
	Memory    int64         // bytes of private memory of each process, on Linux; 0: 1 GiB and ten times the model
	Timeout   time.Duration // of one question, waiting for a free process included; 0: 10 s
	Start     time.Duration // of starting a process and loading the model; 0: 1 min

	// Build makes the program where it isn't found, from a source checkout; nil: it can't be made.
	Build func(ctx context.Context) (string, error)
	// Getenv and Executable say where this process is; nil: os's.
	Getenv     func(string) string
	Executable func() (string, error)
}

// ConfigFrom reads the environment. An error names the variable.
func ConfigFrom(getenv func(string) string) (Config, error) {
	c := Config{Host: getenv(EnvHost), Library: getenv(EnvLibrary), Getenv: getenv}
	for _, v := range []struct {
		name string
		most int
		set  func(int)
	}{
		{EnvProcesses, 64, func(n int) { c.Processes = n }},
		{EnvThreads, 1024, func(n int) { c.Threads = n }},
		{EnvMemory, 1 << 30, func(n int) { c.Memory = int64(n) << 20 }},
	} {
		text := getenv(v.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > v.most {
			return c, fmt.Errorf("%s: observed %q, want a number from 1 to %d", v.name, text, v.most)
		}
		v.set(n)
	}
	if text := getenv(EnvTimeout); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return c, fmt.Errorf("%s: observed %q, want a time, as 10s", EnvTimeout, text)
		}
		c.Timeout = d
	}
	return c, nil
}

func (c Config) withDefaults() Config {
	if c.Processes <= 0 {
		c.Processes = min(runtime.NumCPU(), 4)
	}
	c.Threads = max(c.Threads, 1)
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Start <= 0 {
		c.Start = time.Minute
	}
	return c
}

// memoryFor is the limit of a process that runs a model of that many bytes.
func (c Config) memoryFor(model int) int64 {
	if c.Memory > 0 {
		return c.Memory
	}
	return 1<<30 + 10*int64(model)
}

// libraryNames are the library's file names in a folder, as patterns, the plain one first.
func libraryNames() []string {
	if runtime.GOOS == "darwin" {
		return []string{"libonnxruntime.dylib", "libonnxruntime.*.dylib"}
	}
	return []string{"libonnxruntime.so", "libonnxruntime.so.1", "libonnxruntime.so.*"}
}

// usualFolders are where a package or a person puts the library.
func usualFolders(program string, getenv func(string) string) []string {
	folders := []string{filepath.Dir(program), filepath.Join(filepath.Dir(program), "..", "lib")}
	for _, name := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		folders = append(folders, filepath.SplitList(getenv(name))...)
	}
	folders = append(folders, "/usr/local/lib", "/opt/onnxruntime/lib", "/usr/lib", "/usr/lib64")
	switch runtime.GOARCH {
	case "amd64":
		folders = append(folders, "/usr/lib/x86_64-linux-gnu")
	case "arm64":
		folders = append(folders, "/usr/lib/aarch64-linux-gnu", "/opt/homebrew/lib")
	}
	return folders
}
