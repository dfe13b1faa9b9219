package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Type is an ONNX tensor's element type, by its number in TensorProto.DataType.
type Type int32

// The element types that a model may take or give here.
const (
	Float  Type = 1
	Int32  Type = 6
	Int64  Type = 7
	String Type = 8
	Bool   Type = 9
	Double Type = 11
)

func (t Type) String() string {
	switch t {
	case Float:
		return "float"
	case Int32:
		return "int32"
	case Int64:
		return "int64"
	case String:
		return "string"
	case Bool:
		return "bool"
	case Double:
		return "double"
	}
	return "type " + strconv.Itoa(int(t))
}

// Size is a number's bytes in memory; 0 for text and for types that aren't taken.
func (t Type) Size() int {
	switch t {
	case Bool:
		return 1
	case Float, Int32:
		return 4
	case Int64, Double:
		return 8
	}
	return 0
}

// Value is an input or output of a model, as its file declares it.
type Value struct {
	Name  string
	Type  Type    // of a tensor's elements
	Shape []int64 // of a tensor; -1: any size; nil: not said, or no tensor
	Ranks bool    // Shape is said, if only as a scalar's
	// Maps says that it is a sequence of maps, one a row, from a class's label to its probability, as scikit-learn's
	// converters give unless they are told otherwise. Type is then the maps' values'.
	Maps bool
	// Other says that it is something else: a sequence of tensors, an optional, a sparse tensor.
	Other bool
}

func (v Value) String() string {
	switch {
	case v.Other:
		return fmt.Sprintf("%q (neither a tensor nor a sequence of maps)", v.Name)
	case v.Maps:
		return fmt.Sprintf("%q (sequence of maps to %s)", v.Name, v.Type)
	case !v.Ranks:
		return fmt.Sprintf("%q (%s, of any shape)", v.Name, v.Type)
	}
	shape := make([]string, len(v.Shape))
	for i, n := range v.Shape {
		shape[i] = "N"
		if n >= 0 {
			shape[i] = strconv.FormatInt(n, 10)
		}
	}
	return fmt.Sprintf("%q (%s%v)", v.Name, v.Type, shape)
}

// File is what an ONNX file says of itself.
type File struct {
	Inputs  []Value  // that a caller feeds: initializers aren't among them
	Outputs []Value  // in the file's order
	Labels  []string // class labels, in the order of the probabilities; nil where the file holds none, or several lists
}

// Limits of what a file declares.
const (
	maxValues = 10_000 // inputs, and outputs
	maxName   = 4096   // bytes
)

// Inspect reads an ONNX file without running it: the inputs and outputs that it declares, and that all its data is
// inside it. Data in other files is refused, wherever in the model it is named: a path is a way out of the folder that
// the model lies in. Whatever data holds, Inspect returns a file or an error, in time linear in its size.
func Inspect(data []byte) (*File, error) {
	if len(data) >= 8 && bytes.Equal(data[4:8], []byte("ORTM")) {
		return nil, errors.New("it is in ONNX Runtime's own format: want the .onnx that it was made from")
	}
	r := reader{initializers: map[string]bool{}}
	graphs := 0
	err := fields(data, 0, func(number int, body []byte, _ uint64) error {
		switch number {
		case 7: // graph; a second one would be merged into the first
			graphs++
			return r.graph(body, 1, graphs == 1)
		case 20: // training_info
			return fields(body, 1, func(number int, body []byte, _ uint64) error {
				if number == 1 || number == 2 {
					return r.graph(body, 2, false)
				}
				return nil
			})
		case 25: // functions
			return r.function(body, 1)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("not an ONNX model: %w", err)
	}
	if graphs != 1 {
		return nil, fmt.Errorf("not an ONNX model: %d graphs, want 1", graphs)
	}
	f := &File{Outputs: r.outputs}
	for _, in := range r.inputs {
		if !r.initializers[in.Name] {
			f.Inputs = append(f.Inputs, in)
		}
	}
	if len(f.Inputs) == 0 || len(f.Outputs) == 0 {
		return nil, fmt.Errorf("%d inputs and %d outputs: a model has at least one of each", len(f.Inputs), len(f.Outputs))
	}
	if len(r.labels) == 1 {
		f.Labels = r.labels[0]
	}
	return f, nil
}

// reader collects what a file's messages say. The numbers of fields are those of onnx.proto3.
type reader struct {
	inputs, outputs []Value
	initializers    map[string]bool
	labels          [][]string // distinct lists
}

// graph reads a GraphProto. Only the outermost one's inputs and outputs are the model's.
func (r *reader) graph(data []byte, depth int, outermost bool) error {
	return fields(data, depth, func(number int, body []byte, _ uint64) error {
		switch number {
		case 1: // node
			return r.node(body, depth+1)
		case 5: // initializer
			name, err := r.tensor(body, depth+1)
			if outermost {
				r.initializers[name] = true
			}
			return err
		case 15: // sparse_initializer
			return r.sparse(body, depth+1, outermost)
		case 11, 12: // input, output
			if !outermost {
				return nil
			}
			v, err := valueInfo(body, depth+1)
			if err != nil {
				return err
			}
			into := &r.inputs
			if number == 12 {
				into = &r.outputs
			}
			if *into = append(*into, v); len(*into) > maxValues {
				return fmt.Errorf("more than %d inputs or outputs", maxValues)
			}
		}
		return nil
	})
}

func (r *reader) function(data []byte, depth int) error {
	return fields(data, depth, func(number int, body []byte, _ uint64) error {
		switch number {
		case 7:
			return r.node(body, depth+1)
		case 11:
			return r.attribute(body, depth+1)
		}
		return nil
	})
}

func (r *reader) node(data []byte, depth int) error {
	return fields(data, depth, func(number int, body []byte, _ uint64) error {
		if number == 5 {
			return r.attribute(body, depth+1)
		}
		return nil
	})
}

// attribute reads an AttributeProto, in which tensors and graphs may be, or a classifier's labels.
func (r *reader) attribute(data []byte, depth int) error {
	var name string
	var labels []string
	err := fields(data, depth, func(number int, body []byte, value uint64) error {
		var err error
		switch number {
		case 1:
			name = string(body[:min(len(body), maxName)])
		case 5, 10:
			_, err = r.tensor(body, depth+1)
		case 6, 11:
			err = r.graph(body, depth+1, false)
		case 22, 23:
			err = r.sparse(body, depth+1, false)
		case 9:
			labels = append(labels, string(body[:min(len(body), maxName)]))
		case 8:
			if body == nil {
				labels = append(labels, strconv.FormatInt(int64(value), 10))
				return nil
			}
			for len(body) > 0 && err == nil { // packed
				var v uint64
				v, body, err = varint(body)
				labels = append(labels, strconv.FormatInt(int64(v), 10))
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	switch name {
	case "classlabels_strings", "classlabels_int64s", "classlabels_ints":
		same := slices.ContainsFunc(r.labels, func(have []string) bool { return slices.Equal(have, labels) })
		if len(labels) > 0 && !same {
			r.labels = append(r.labels, labels)
		}
	}
	return nil
}

// tensor reads a TensorProto's name, and that its data is in it.
func (r *reader) tensor(data []byte, depth int) (name string, err error) {
	err = fields(data, depth, func(number int, body []byte, value uint64) error {
		switch number {
		case 8:
			name = string(body[:min(len(body), maxName)])
		case 13:
			return errExternal
		case 14:
			if value != 0 || len(body) > 0 {
				return errExternal
			}
		}
		return nil
	})
	return name, err
}

var errExternal = errors.New("a tensor's data is in another file, which is not read: save the model as one file (onnx.save with save_as_external_data=False)")

func (r *reader) sparse(data []byte, depth int, outermost bool) error {
	return fields(data, depth, func(number int, body []byte, _ uint64) error {
		if number != 1 && number != 2 {
			return nil
		}
		name, err := r.tensor(body, depth+1)
		if outermost && number == 1 {
			r.initializers[name] = true
		}
		return err
	})
}

func valueInfo(data []byte, depth int) (Value, error) {
	v := Value{Other: true}
	err := fields(data, depth, func(number int, body []byte, _ uint64) error {
		switch number {
		case 1:
			if len(body) > maxName {
				return fmt.Errorf("a name of %d bytes > limit %d", len(body), maxName)
			}
			v.Name = string(body)
		case 2:
			return v.typed(body, depth+1)
		}
		return nil
	})
	return v, err
}

// typed reads a TypeProto.
func (v *Value) typed(data []byte, depth int) error {
	return fields(data, depth, func(number int, body []byte, _ uint64) error {
		switch number {
		case 1: // tensor_type
			v.Other = false
			return v.tensorType(body, depth+1)
		case 4: // sequence_type, of a map_type
			return fields(body, depth+1, func(number int, body []byte, _ uint64) error {
				if number != 1 {
					return nil
				}
				return fields(body, depth+2, func(number int, body []byte, _ uint64) error {
					if number != 5 {
						return nil
					}
					return v.mapType(body, depth+3)
				})
			})
		}
		return nil
	})
}

func (v *Value) mapType(data []byte, depth int) error {
	return fields(data, depth, func(number int, body []byte, _ uint64) error {
		if number != 2 {
			return nil
		}
		var element Value
		if err := element.typed(body, depth+1); err != nil {
			return err
		}
		v.Maps, v.Other, v.Type = true, false, element.Type
		return nil
	})
}

func (v *Value) tensorType(data []byte, depth int) error {
	return fields(data, depth, func(number int, body []byte, value uint64) error {
		switch number {
		case 1:
			v.Type = Type(min(value, 1<<20))
		case 2: // shape
			v.Ranks = true
			return fields(body, depth+1, func(number int, body []byte, _ uint64) error {
				if number != 1 {
					return nil
				}
				size := int64(-1)
				err := fields(body, depth+2, func(number int, body []byte, value uint64) error {
					if number == 1 && body == nil {
						size = max(int64(value), -1)
					}
					return nil
				})
				if v.Shape = append(v.Shape, size); len(v.Shape) > 16 {
					return fmt.Errorf("value %q has more than 16 dimensions", v.Name)
				}
				return err
			})
		}
		return nil
	})
}
