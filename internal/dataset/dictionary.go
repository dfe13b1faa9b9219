package dataset

// dictionary gives each distinct value a code, in order of first appearance.
type dictionary struct {
	codes  map[string]int32
	values []string
}

func newDictionary() *dictionary { return &dictionary{codes: map[string]int32{}} }

// codeString is the code of a value.
func (d *dictionary) codeString(value string) int32 {
	if code, ok := d.codes[value]; ok {
		return code
	}
	return d.add(value)
}

func (d *dictionary) add(value string) int32 {
	code := int32(len(d.values))
	d.codes[value] = code
	d.values = append(d.values, value)
	return code
}

// bitset is a set of row numbers; nil is the empty set.
type bitset []uint64

// set adds a row.
func (b *bitset) set(row int) {
	for len(*b) <= row>>6 {
		*b = append(*b, 0)
	}
	(*b)[row>>6] |= 1 << (row & 63)
}

// has reports whether the row is in the set.
func (b bitset) has(row int) bool {
	return row>>6 < len(b) && b[row>>6]&(1<<(row&63)) != 0
}
