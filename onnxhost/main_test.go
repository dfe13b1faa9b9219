//go:build (linux || darwin) && (amd64 || arm64)

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/onnx"
	"github.com/leanloop/leanloop/internal/onnx/onnxtest"
)

// The pipe closes however the program that started a host ends, and the host is in a loop of the library's then.
func TestAHostAtWorkEndsWithItsPipe(t *testing.T) {
	matches, err := filepath.Glob(filepath.Join(onnxtest.Library(t), "libonnxruntime.so*"))
	require.NoError(t, err)
	if len(matches) == 0 {
		matches = []string{onnxtest.Library(t)} // the file itself
	}
	model, err := os.ReadFile(filepath.Join("..", "internal", "inference", "testdata", "onnx", "endless.onnx"))
	require.NoError(t, err)
	answers, theirs, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = answers.Close() }()
	host := exec.Command(onnxtest.Program(t), "serve", matches[0])
	host.ExtraFiles, host.Stderr = []*os.File{theirs}, os.Stderr
	in, err := host.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, host.Start())
	require.NoError(t, theirs.Close())

	call := onnx.Call{Inputs: []onnx.Input{{Name: "X", Type: onnx.Float, Columns: 2}}, Output: "Y", MaxColumns: 1, Threads: 1}
	load, err := onnx.LoadFrame(call, model)
	require.NoError(t, err)
	_, err = in.Write(load)
	require.NoError(t, err)
	kind, body, err := onnx.ReadFrame(answers, nil, 1<<16)
	require.NoError(t, err)
	require.EqualValues(t, onnx.FrameLoaded, kind, "%s", body)
	rows, err := onnx.SealFrame(append(onnx.BeginRows(nil, 1), make([]byte, 8)...))
	require.NoError(t, err)
	_, err = in.Write(rows)
	require.NoError(t, err)
	require.NoError(t, answers.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	_, _, err = onnx.ReadFrame(answers, nil, 1<<16)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "it loops")

	require.NoError(t, in.Close())
	ended := make(chan error, 1)
	go func() { ended <- host.Wait() }()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		_ = host.Process.Kill()
		t.Fatal("it goes on without anybody")
	}
}
