// Package onnx is what leanloop knows of ONNX without running it: what a file declares (Inspect), and how the program
// that runs models (onnxhost) is asked, in frames over its pipes. It opens no file and starts nothing: onnx/hosts does,
// and onnx/ort, which only that program uses, calls the library.
package onnx
