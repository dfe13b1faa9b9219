package dataset

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// KeySet is an immutable set of row keys: what a version was trained on. The zero KeySet is empty.
type KeySet struct {
	scheme string   // what the keys are made of: KeyScheme
	sorted []uint64 // ascending, unique
}

// keySetMagic begins the binary form and names its version.
const keySetMagic = "leanloop-keys-2\n"

// NewKeySet copies the keys, which are made as the scheme says; repeated ones count once.
func NewKeySet(scheme string, keys []uint64) KeySet {
	sorted := slices.Clone(keys)
	slices.Sort(sorted)
	return KeySet{scheme: scheme, sorted: slices.Compact(sorted)}
}

// schemeUnknown is no scheme of any rows: JudgeRows lets none of them judge.
const schemeUnknown = "unknown"

// UnknownKeys is the set of a version of which nobody knows what it was trained on: any row may be among it.
func UnknownKeys() KeySet { return NewKeySet(schemeUnknown, []uint64{0}) }

// Unknown reports whether the set is UnknownKeys.
func (s KeySet) Unknown() bool { return s.scheme == schemeUnknown }

// Len is the number of distinct keys.
func (s KeySet) Len() int { return len(s.sorted) }

// Contains reports whether the key is in the set.
func (s KeySet) Contains(key uint64) bool {
	_, found := slices.BinarySearch(s.sorted, key)
	return found
}

// MarshalBinary is the set as a magic line, the scheme's length and text, the count, and the differences of the
// ascending keys, numbers as uvarints. Equal sets have equal bytes.
func (s KeySet) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, len(keySetMagic)+len(s.scheme)+9*len(s.sorted)+20)
	b = append(b, keySetMagic...)
	b = append(binary.AppendUvarint(b, uint64(len(s.scheme))), s.scheme...)
	b = binary.AppendUvarint(b, uint64(len(s.sorted)))
	var last uint64
	for _, key := range s.sorted {
		b = binary.AppendUvarint(b, key-last)
		last = key
	}
	return b, nil
}

// UnmarshalKeySet is the inverse of MarshalBinary. It takes exactly what MarshalBinary writes, and no memory beyond
// the order of len(b).
func UnmarshalKeySet(b []byte) (KeySet, error) {
	if len(b) < len(keySetMagic) || string(b[:len(keySetMagic)]) != keySetMagic {
		return KeySet{}, fmt.Errorf("key set: does not begin with %q", keySetMagic)
	}
	rest := b[len(keySetMagic):]
	length, n := binary.Uvarint(rest)
	if n <= 0 || length > uint64(len(rest)-n) {
		return KeySet{}, fmt.Errorf("key set: scheme of %d bytes does not fit %d", length, len(b))
	}
	scheme := string(rest[n : n+int(length)])
	rest = rest[n+int(length):]
	count, n := binary.Uvarint(rest)
	if n <= 0 || count > uint64(len(rest)) {
		return KeySet{}, fmt.Errorf("key set: count %d does not fit %d bytes", count, len(b))
	}
	rest = rest[n:]
	keys := make([]uint64, 0, count)
	var last uint64
	for i := range count {
		difference, n := binary.Uvarint(rest)
		if n <= 0 {
			return KeySet{}, fmt.Errorf("key set: ends after %d of %d keys", i, count)
		}
		if i > 0 && (difference == 0 || last+difference < last) {
			return KeySet{}, fmt.Errorf("key set: key %d is not above the one before", i)
		}
		last += difference
		keys = append(keys, last)
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return KeySet{}, fmt.Errorf("key set: %d bytes after the last key", len(rest))
	}
	return KeySet{scheme: scheme, sorted: keys}, nil
}

// JudgeRows are the test rows on which versions that trained on the given sets may be compared: those that no set
// contains. Champion and challenger are both scored on exactly these. The order of test is kept.
//
// A set whose keys are made of something else than p's (another id column, or without one other columns) can't say
// which of p's rows it contains. Then none may judge: that is too few rows, and a person is asked.
func JudgeRows(p *Prepared, test []int, trained ...KeySet) []int {
	rows := make([]int, 0, len(test))
	for _, set := range trained {
		if set.Len() > 0 && set.scheme != p.Scheme {
			return rows
		}
	}
	for _, row := range test {
		seen := false
		for _, set := range trained {
			if set.Contains(p.Keys[row]) {
				seen = true
				break
			}
		}
		if !seen {
			rows = append(rows, row)
		}
	}
	return rows
}

// TrainedKeys are the keys of the rows in a version's training folder: its training and its validation rows, since
// validation rows choose when to stop.
func TrainedKeys(p *Prepared, parts *Parts) KeySet {
	keys := make([]uint64, 0, len(parts.Train)+len(parts.Validation))
	for _, row := range parts.Train {
		keys = append(keys, p.Keys[row])
	}
	for _, row := range parts.Validation {
		keys = append(keys, p.Keys[row])
	}
	return NewKeySet(p.Scheme, keys)
}
