package serving

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/leanloop/leanloop/internal/inference"
)

// The binary tensor data extension of the Open Inference Protocol, which Triton's clients use unless told otherwise:
// behind the JSON, whose length a header names, stand the tensors' values in the order of the tensors, little-endian,
// those of BYTES each behind its length in 4 bytes
// (https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md).

// headerLength names the length of the JSON in front of binary tensors.
const headerLength = "Inference-Header-Content-Length"

// cutBinary takes the tensors' bytes off the body.
func (w *work) cutBinary(req *http.Request) *problem {
	text := req.Header.Get(headerLength)
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > len(w.body) {
		return badRequest("bad_request", "header %s: observed %q, want 0 to the body's %d bytes", headerLength, clip(text), len(w.body))
	}
	w.body, w.binary = w.body[:n], w.body[n:]
	w.binarySize = len(w.binary)
	return nil
}

// readBinary turns a tensor's bytes into values of one place of every row. A NaN is a missing value.
func (w *work) readBinary(t *tensor, place, places int) error {
	data := t.binary
	for row := range w.rows {
		v, rest, err := w.nextBinary(data, t.datatype)
		if err != nil {
			return badRequest("bad_tensor", "input %q: row %d: %v", clip(t.name), row+1, err)
		}
		w.values[row*places+place], data = v, rest
	}
	if len(data) > 0 {
		return badRequest("bad_tensor", "input %q: %d bytes more than its shape %v", clip(t.name), len(data), t.shape)
	}
	return nil
}

// nextBinary reads one element. Numbers become text, as if they had come as JSON.
func (w *work) nextBinary(data []byte, datatype string) (v value, rest []byte, err error) {
	size := sizeOf(datatype)
	if datatype == "BYTES" {
		if len(data) < 4 {
			return v, nil, fmt.Errorf("observed %d bytes, want a length of 4", len(data))
		}
		n := binary.LittleEndian.Uint32(data)
		if data = data[4:]; uint64(n) > uint64(len(data)) {
			return v, nil, fmt.Errorf("a text of %d bytes, and %d are left", n, len(data))
		}
		if !utf8.Valid(data[:n]) {
			return v, nil, fmt.Errorf("text that is not valid UTF-8")
		}
		return value{textValue, data[:n]}, data[n:], nil
	}
	if len(data) < size {
		return v, nil, fmt.Errorf("observed %d bytes, want %d", len(data), size)
	}
	element, rest := data[:size], data[size:]
	var bits [8]byte
	copy(bits[:], element)
	raw := binary.LittleEndian.Uint64(bits[:])
	start := len(w.numbers)
	switch datatype {
	case "BOOL":
		if raw == 0 {
			return value{kind: falseValue}, rest, nil
		}
		return value{kind: trueValue}, rest, nil
	case "FP64", "FP32", "FP16":
		f, width := math.Float64frombits(raw), 64
		if datatype == "FP32" {
			f, width = float64(math.Float32frombits(uint32(raw))), 32
		} else if datatype == "FP16" {
			f, width = inference.HalfFloat(uint16(raw)), 32
		}
		switch {
		case f != f:
			return value{kind: nullValue}, rest, nil
		case math.IsInf(f, 0):
			return v, nil, fmt.Errorf("observed %v, want a finite number", f)
		}
		// As the number that was meant: 0.1 of 32 bits is 0.1, as in JSON.
		w.numbers = strconv.AppendFloat(w.numbers, f, 'g', -1, width)
	case "UINT8", "UINT16", "UINT32", "UINT64":
		w.numbers = strconv.AppendUint(w.numbers, raw, 10)
	default:
		shift := 64 - 8*size
		w.numbers = strconv.AppendInt(w.numbers, int64(raw<<shift)>>shift, 10)
	}
	return value{numberValue, w.numbers[start:len(w.numbers):len(w.numbers)]}, rest, nil
}

// sizeOf is the number of bytes of an element; that of BYTES is of its length.
func sizeOf(datatype string) int {
	switch datatype {
	case "BOOL", "INT8", "UINT8":
		return 1
	case "FP16", "INT16", "UINT16":
		return 2
	case "FP32", "INT32", "UINT32", "BYTES":
		return 4
	}
	return 8
}

// appendBinary writes one output's values behind the JSON.
func (w *work) appendBinary(name string, a *arm) {
	for i := range w.results {
		scores := w.results[i].scores
		class, score := a.decide(scores)
		switch {
		case name == outputID:
			w.tail = appendBytes(w.tail, w.id(i))
		case name == outputScores:
			for _, p := range scores {
				w.tail = binary.LittleEndian.AppendUint64(w.tail, math.Float64bits(p))
			}
		case name == outputPrediction && class >= 0:
			w.tail = appendBytes(w.tail, []byte(a.model.Signature.Classes[class]))
		default:
			w.tail = binary.LittleEndian.AppendUint64(w.tail, math.Float64bits(score))
		}
	}
}

func appendBytes(dst, text []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(text))), text...)
}

// modelIndex is an entry of POST /v2/repository/index, the model repository extension.
type modelIndex struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	State   string `json:"state"` // READY | UNAVAILABLE
	Reason  string `json:"reason"`
}

// index lists the models, sorted by name.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	list := []modelIndex{}
	for _, status := range s.statuses() {
		entry := modelIndex{Name: status.Model, State: "UNAVAILABLE", Reason: "no champion yet"}
		if r := s.route(status.Model); r != nil && r.champion != nil {
			entry = modelIndex{Name: status.Model, Version: strconv.Itoa(r.champion.number), State: "READY"}
		}
		list = append(list, entry)
	}
	s.sendValue(w, http.StatusOK, list)
}
