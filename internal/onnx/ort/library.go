//go:build (linux || darwin) && (amd64 || arm64)

// Package ort calls the ONNX Runtime library, which is loaded when it is asked for: its C interface is a table of
// functions, so neither its headers nor cgo are needed. Only onnxhost may import it: what links it is no static program
// any more, and what the library does to its process, a hostile model can make it do.
package ort

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// apiVersion is the interface that is asked for: that of ONNX Runtime 1.17 (January 2024). Later libraries give it too.
const apiVersion = 17

// The places of functions in the table OrtApi (onnxruntime_c_api.h). New ones are only ever added behind them.
const (
	fnGetErrorMessage             = 2
	fnCreateEnv                   = 3
	fnDisableTelemetryEvents      = 6
	fnCreateSessionFromArray      = 8
	fnRun                         = 9
	fnCreateSessionOptions        = 10
	fnSetIntraOpNumThreads        = 24
	fnSetInterOpNumThreads        = 25
	fnCreateTensorWithData        = 49
	fnCreateTensor                = 48
	fnIsTensor                    = 50
	fnGetTensorMutableData        = 51
	fnFillStringTensor            = 52
	fnGetStringTensorDataLength   = 53
	fnGetStringTensorContent      = 54
	fnGetTensorElementType        = 60
	fnGetDimensionsCount          = 61
	fnGetDimensions               = 62
	fnGetTensorTypeAndShape       = 65
	fnGetValueType                = 67
	fnCreateCPUMemoryInfo         = 69
	fnGetDefaultAllocator         = 78
	fnGetValue                    = 80
	fnGetValueCount               = 81
	fnReleaseEnv                  = 92
	fnReleaseStatus               = 93
	fnReleaseMemoryInfo           = 94
	fnReleaseSession              = 95
	fnReleaseValue                = 96
	fnReleaseTensorTypeAndShape   = 99
	fnReleaseSessionOptions       = 100
	fnAddSessionConfigEntry       = 130
	functions                     = 131
	logError                      = 3 // ORT_LOGGING_LEVEL_ERROR
	typeTensor, typeSequence      = 1, 2
	typeMap                       = 3
	arenaAllocator, memoryDefault = 1, 0
)

// Library is a loaded ONNX Runtime.
type Library struct {
	Version   string // 1.24.3
	api       *[functions]uintptr
	env       uintptr
	memory    uintptr // OrtMemoryInfo of the CPU
	allocator uintptr
}

// Open loads the library at path, for the rest of the process.
func Open(path string) (*Library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	symbol, err := purego.Dlsym(handle, "OrtGetApiBase")
	if err != nil {
		return nil, fmt.Errorf("%s is no ONNX Runtime: %w", path, err)
	}
	at, _, _ := purego.SyscallN(symbol)
	base := (*struct{ getAPI, getVersion uintptr })(pointer(at))
	version, _, _ := purego.SyscallN(base.getVersion)
	l := &Library{Version: text(version)}
	table, _, _ := purego.SyscallN(base.getAPI, apiVersion)
	if table == 0 {
		return nil, fmt.Errorf("%s is ONNX Runtime %s, want 1.%d or newer", path, l.Version, apiVersion)
	}
	l.api = (*[functions]uintptr)(pointer(table))
	name := cString("leanloop")
	if err := l.call(fnCreateEnv, logError, uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&l.env))); err != nil {
		return nil, err
	}
	if err := errors.Join(
		l.call(fnDisableTelemetryEvents, l.env),
		l.call(fnCreateCPUMemoryInfo, arenaAllocator, memoryDefault, uintptr(unsafe.Pointer(&l.memory))),
		l.call(fnGetDefaultAllocator, uintptr(unsafe.Pointer(&l.allocator))),
	); err != nil {
		return nil, err
	}
	return l, nil
}

// call calls a function of the table that answers with a status. What an argument points to stays where it is until the
// function has returned, if the argument is converted in the call itself.
//
//go:uintptrescapes
func (l *Library) call(function int, arguments ...uintptr) error {
	status, _, _ := purego.SyscallN(l.api[function], arguments...)
	if status == 0 {
		return nil
	}
	message, _, _ := purego.SyscallN(l.api[fnGetErrorMessage], status)
	err := errors.New(text(message))
	l.release(fnReleaseStatus, status)
	return err
}

func (l *Library) release(function int, what uintptr) {
	if what != 0 {
		purego.SyscallN(l.api[function], what)
	}
}

// pointer makes a pointer of an address that the library gave. It is read through an address of Go's: the conversion is
// then one that vet can follow, and the memory is the library's, which the garbage collector leaves alone.
func pointer(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

// cString is text as C takes it.
func cString(s string) []byte { return append([]byte(s), 0) }

// maxText bounds a text that is read up to its zero.
const maxText = 1 << 20

func text(at uintptr) string {
	if at == 0 {
		return ""
	}
	start := (*byte)(pointer(at))
	n := 0
	for n < maxText && *(*byte)(unsafe.Add(unsafe.Pointer(start), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(start, n))
}
