//go:build (linux || darwin) && (amd64 || arm64)

// Command onnxhost runs one ONNX model for another of leanloop's programs, which starts it, and ends with it: the ONNX
// Runtime library is loaded into this process, so a model that crashes, hangs or fills memory does it here. It has the
// only code that links a C library, at run time.
//
//	onnxhost serve LIBRARY     frames on standard input, answers on file descriptor 3 (package onnx says which)
//	onnxhost version LIBRARY   print the version of the library, as a check that it can be loaded
//
// Nothing but tests and operators' checks starts it by hand.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/leanloop/leanloop/internal/onnx"
	"github.com/leanloop/leanloop/internal/onnx/ort"
)

// answers is the file descriptor of answers: the library may print to standard output.
const answers = 3

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "onnxhost:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || (args[0] != "serve" && args[0] != "version") {
		return fmt.Errorf("observed arguments %q, want serve LIBRARY or version LIBRARY", args)
	}
	if args[0] == "version" {
		library, err := ort.Open(args[1])
		if err == nil {
			fmt.Println(library.Version)
		}
		return err
	}
	return serve(args[1], os.Stdin, os.NewFile(answers, "answers"))
}

// serve answers until in ends, which it does when the program that started this one is gone.
func serve(library string, in io.Reader, out io.Writer) error {
	requests := make(chan frame)
	go read(in, requests)
	session, err := load(library, <-requests, out)
	if err != nil {
		return send(out, onnx.FrameError, []byte(err.Error()))
	}
	var body []byte
	for f := range requests {
		if body, err = score(session, f, out, body[:0]); err != nil {
			return err
		}
	}
	return nil
}

// frame is one request.
type frame struct {
	kind byte
	body []byte
}

// read hands on what comes. At the end of input it ends the process, whatever the library is doing then: nobody waits
// for its answer any more.
func read(in io.Reader, requests chan<- frame) {
	buffered := bufio.NewReaderSize(in, 1<<16)
	var buffers [2][]byte // one is scored while the next one is read
	for i := 0; ; i++ {
		kind, body, err := onnx.ReadFrame(buffered, buffers[i%2], onnx.MaxFrame)
		if err != nil {
			os.Exit(0)
		}
		if kind == onnx.FrameRows {
			buffers[i%2] = body
		}
		requests <- frame{kind, body}
	}
}

// load loads the library and the model, within the memory that the call allows.
func load(library string, f frame, out io.Writer) (*ort.Session, error) {
	if f.kind != onnx.FrameLoad {
		return nil, fmt.Errorf("frame %q came first, want a model", f.kind)
	}
	call, model, err := onnx.ParseLoad(f.body)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if err := limitMemory(call.Memory); err != nil {
		return nil, fmt.Errorf("limit of memory, %d bytes: %w", call.Memory, err)
	}
	opened, err := ort.Open(library)
	if err != nil {
		return nil, fmt.Errorf("ONNX Runtime: %w", err)
	}
	session, err := opened.Load(call, model)
	if err != nil {
		return nil, fmt.Errorf("ONNX Runtime %s doesn't take the model: %w", opened.Version, err)
	}
	return session, send(out, onnx.FrameLoaded, []byte(opened.Version))
}

// score answers one request. The error is that of out: nobody is there any more.
func score(s *ort.Session, f frame, out io.Writer, buffer []byte) ([]byte, error) {
	rows, blocks, err := onnx.ParseRows(f.body)
	if err == nil && f.kind != onnx.FrameRows {
		err = fmt.Errorf("frame %q, want rows", f.kind)
	}
	var answer onnx.Answer
	if err == nil {
		answer, err = s.Score(rows, blocks)
	}
	if err != nil {
		return buffer, send(out, onnx.FrameError, []byte(err.Error()))
	}
	if buffer, err = onnx.SealFrame(onnx.AppendAnswer(onnx.AppendFrame(buffer, onnx.FrameScores), answer)); err != nil {
		return buffer, send(out, onnx.FrameError, []byte(err.Error()))
	}
	_, err = out.Write(buffer)
	return buffer, err
}

// mostError bounds an error's text, in bytes.
const mostError = 4 << 10

func send(out io.Writer, kind byte, body []byte) error {
	if kind == onnx.FrameError {
		body = body[:min(len(body), mostError)]
	}
	b, err := onnx.SealFrame(append(onnx.AppendFrame(nil, kind), body...))
	if err == nil {
		_, err = out.Write(b)
	}
	return err
}
