//go:build !((linux || darwin) && (amd64 || arm64))

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "onnxhost: ONNX models are run on Linux and macOS, on amd64 and arm64")
	os.Exit(1)
}
