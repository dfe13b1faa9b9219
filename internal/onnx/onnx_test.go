package onnx

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// message is a protobuf message in the making.
type message []byte

func (m message) bytes(number int, body []byte) message {
	m = binary.AppendUvarint(m, uint64(number)<<3|2)
	return append(binary.AppendUvarint(m, uint64(len(body))), body...)
}

func (m message) number(number int, v uint64) message {
	return binary.AppendUvarint(binary.AppendUvarint(m, uint64(number)<<3), v)
}

// value is a ValueInfoProto of a float tensor [N, 2].
func value(name string) message {
	shape := message{}.bytes(1, message{}.bytes(2, []byte("N"))).bytes(1, message{}.number(1, 2))
	return message{}.bytes(1, []byte(name)).bytes(2, message{}.bytes(1, message{}.number(1, uint64(Float)).bytes(2, shape)))
}

// model is a ModelProto of a graph with more in it.
func model(more message) message {
	graph := append(message{}.bytes(11, value("X")).bytes(11, value("w")).bytes(5, message{}.bytes(8, []byte("w"))).bytes(12, value("Y")), more...)
	return message{}.number(1, 8).bytes(7, graph)
}

func TestAFileSaysItsInputsAndOutputs(t *testing.T) {
	f, err := Inspect(model(nil))
	require.NoError(t, err)
	require.Equal(t, []Value{{Name: "X", Type: Float, Shape: []int64{-1, 2}, Ranks: true}}, f.Inputs, "an initializer is no input")
	require.Equal(t, `"Y" (float[N 2])`, f.Outputs[0].String())
	labels := func(names ...string) message {
		a := message{}.bytes(1, []byte("classlabels_strings"))
		for _, n := range names {
			a = a.bytes(9, []byte(n))
		}
		return message{}.bytes(1, message{}.bytes(5, a))
	}
	f, err = Inspect(model(append(labels("a", "b"), labels("a", "b")...)))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, f.Labels)
	f, err = Inspect(model(append(labels("a", "b"), labels("b", "a")...)))
	require.NoError(t, err)
	require.Nil(t, f.Labels, "two lists say nothing")
}

// A path in a model file is a way out of its folder, wherever it stands.
func TestDataInAnotherFileIsRefusedWhereverItIsNamed(t *testing.T) {
	for name, tensor := range map[string]message{
		"location": message{}.number(14, 1), "data": message{}.bytes(13, []byte("x")), "location of another wire type": message{}.bytes(14, []byte{1}),
	} {
		graph := message{}.bytes(5, tensor)
		attribute := func(a message) message { return message{}.bytes(1, message{}.bytes(5, a)) }
		for place, file := range map[string]message{
			"initializer":                     model(message{}.bytes(5, tensor)),
			"sparse initializer's values":     model(message{}.bytes(15, message{}.bytes(1, tensor))),
			"sparse initializer's indices":    model(message{}.bytes(15, message{}.bytes(2, tensor))),
			"constant":                        model(attribute(message{}.bytes(5, tensor))),
			"list of constants":               model(attribute(message{}.bytes(10, tensor))),
			"sparse constant":                 model(attribute(message{}.bytes(22, message{}.bytes(1, tensor)))),
			"list of sparse constants":        model(attribute(message{}.bytes(23, message{}.bytes(2, tensor)))),
			"branch":                          model(attribute(message{}.bytes(6, graph))),
			"one of several branches":         model(attribute(message{}.bytes(11, graph))),
			"a branch's branch":               model(attribute(message{}.bytes(6, attribute(message{}.bytes(6, graph))))),
			"function":                        append(model(nil), message{}.bytes(25, message{}.bytes(7, message{}.bytes(5, message{}.bytes(5, tensor))))...),
			"a function's attribute":          append(model(nil), message{}.bytes(25, message{}.bytes(11, message{}.bytes(5, tensor)))...),
			"training":                        append(model(nil), message{}.bytes(20, message{}.bytes(2, graph))...),
			"a second graph, which is merged": append(model(nil), message{}.bytes(7, graph)...),
		} {
			_, err := Inspect(file)
			require.ErrorIs(t, err, errExternal, "%s in %s", name, place)
		}
	}
}

func TestWhatIsNoModelIsRefused(t *testing.T) {
	deep := message{}
	for range 200 {
		deep = message{}.bytes(1, message{}.bytes(5, message{}.bytes(6, deep)))
	}
	for says, file := range map[string][]byte{
		"0 graphs":                        {},
		"1 inputs and 0 outputs":          message{}.bytes(7, message{}.bytes(11, value("X"))),
		"deeper than":                     model(deep),
		"it breaks off":                   model(nil)[:20],
		"in ONNX Runtime's own format":    append([]byte{1, 0, 0, 0}, "ORTM and more"...),
		"wire type 3":                     {0x3b},
		"2 graphs":                        append(model(nil), model(nil)...),
		"a number of more than ten bytes": bytes.Repeat([]byte{0xff}, 12),
		"more than 16 dimensions":         message{}.bytes(7, message{}.bytes(11, message{}.bytes(2, message{}.bytes(1, message{}.bytes(2, bytes.Repeat(message{}.bytes(1, nil), 17)))))),
	} {
		_, err := Inspect(file)
		require.ErrorContains(t, err, says)
	}
}

func FuzzInspect(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("..", "inference", "testdata", "onnx", "*.onnx"))
	if err != nil || len(files) == 0 {
		f.Fatal("no files to begin with", err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Inspect(data)
		if err == nil && (len(file.Inputs) == 0 || len(file.Outputs) == 0) {
			t.Fatal("a model without inputs or outputs")
		}
	})
}

func TestFramesAreReadBack(t *testing.T) {
	c := Call{Inputs: []Input{{Name: "a", Type: Bool, Columns: 1}, {Name: "b", Type: Double, Columns: 2}}, Output: "Y", MaxColumns: 3, Memory: 1 << 30, Threads: 2}
	frame, err := LoadFrame(c, []byte("model"))
	require.NoError(t, err)
	kind, body, err := ReadFrame(bytes.NewReader(frame), nil, MaxFrame)
	require.NoError(t, err)
	require.EqualValues(t, FrameLoad, kind)
	back, raw, err := ParseLoad(body)
	require.NoError(t, err)
	require.Equal(t, c, back)
	require.Equal(t, "model", string(raw))
	require.Equal(t, []int{0, 8, 8 + 3*2*8}, c.Offsets(3), "a block begins where a number may")

	a := Answer{Columns: 2, Labels: []string{"no", "yes"}, Values: []float64{0.25, 0.75, math.Inf(1), 0}}
	got, err := ParseAnswer(AppendAnswer(nil, a), 2, 3)
	require.NoError(t, err)
	require.Equal(t, a, got)
	_, err = ParseAnswer(AppendAnswer(nil, a), 3, 3)
	require.ErrorContains(t, err, "for 3 rows of 2 columns")
	_, err = ParseAnswer(AppendAnswer(nil, a), 2, 1)
	require.ErrorContains(t, err, "2 columns")

	_, _, err = ReadFrame(bytes.NewReader(frame[:len(frame)-1]), nil, MaxFrame)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, _, err = ReadFrame(bytes.NewReader(frame), nil, 10)
	require.ErrorContains(t, err, "> limit 10")
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(AppendAnswer(nil, Answer{Columns: 2, Labels: []string{"no", "yes"}, Values: []float64{1, 2}}), 1)
	f.Fuzz(func(t *testing.T, body []byte, rows int) {
		rows = rows & 0xffff
		a, err := ParseAnswer(body, rows, 100)
		if err == nil && (len(a.Values) != rows*a.Columns || a.Labels != nil && len(a.Labels) != a.Columns) {
			t.Fatalf("%+v for %d rows", a, rows)
		}
	})
}
