package onnx

import (
	"errors"
	"fmt"
)

// maxDepth bounds messages within messages: subgraphs of subgraphs.
const maxDepth = 64

// fields calls each for every field of a message: its number, and its bytes or (body nil) its number as value.
func fields(data []byte, depth int, each func(number int, body []byte, value uint64) error) error {
	if depth > maxDepth {
		return fmt.Errorf("messages within messages: deeper than %d", maxDepth)
	}
	for len(data) > 0 {
		tag, rest, err := varint(data)
		if err != nil {
			return err
		}
		number := int(min(tag>>3, 1<<29))
		var body []byte
		var value uint64
		switch tag & 7 {
		case 0:
			value, rest, err = varint(rest)
		case 1:
			rest, err = skip(rest, 8)
		case 5:
			rest, err = skip(rest, 4)
		case 2:
			var size uint64
			if size, rest, err = varint(rest); err == nil && size > uint64(len(rest)) {
				err = errTruncated
			}
			if err == nil {
				body, rest = rest[:size:size], rest[size:]
			}
		default:
			err = fmt.Errorf("field %d has wire type %d", number, tag&7)
		}
		if err != nil {
			return err
		}
		data = rest
		if err := each(number, body, value); err != nil {
			return err
		}
	}
	return nil
}

var errTruncated = errors.New("it breaks off")

func skip(data []byte, n int) ([]byte, error) {
	if len(data) < n {
		return nil, errTruncated
	}
	return data[n:], nil
}

// varint reads a base-128 number of up to ten bytes.
func varint(data []byte) (uint64, []byte, error) {
	var v uint64
	for i := range min(len(data), 10) {
		v |= uint64(data[i]&0x7f) << (7 * i)
		if data[i] < 0x80 {
			return v, data[i+1:], nil
		}
	}
	if len(data) < 10 {
		return 0, nil, errTruncated
	}
	return 0, nil, errors.New("a number of more than ten bytes")
}
