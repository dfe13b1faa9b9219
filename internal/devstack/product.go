package devstack

import (
	"os"
	"path/filepath"
)

// ProductDir is the root of the leanloop source tree that holds the development stack's module: where the product's own
// programs are built from.
func ProductDir() (string, error) {
	workdir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	source, err := findSource(os.Getenv, workdir)
	if err != nil {
		return "", err
	}
	return filepath.Dir(source), nil
}
