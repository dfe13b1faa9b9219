package devstack

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// BuildHost builds the program that runs ONNX models from the source checkout around the working directory, into the
// cache folder, and gives its path. Go's own cache makes the second time quick.
func BuildHost(ctx context.Context, log io.Writer) (string, error) {
	root, err := ProductDir()
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "onnxhost")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("build onnxhost: %w", err)
	}
	temporary := filepath.Join(dir, fmt.Sprintf(".onnxhost-%d", os.Getpid()))
	defer os.Remove(temporary)
	if err := Compile(ctx, root, "./onnxhost", temporary, log); err != nil {
		return "", fmt.Errorf("build onnxhost in %s: %w", root, err)
	}
	path := filepath.Join(dir, "onnxhost")
	return path, os.Rename(temporary, path) // who finds the file finds all of it
}
