package dataset

// classes is a set of what the cells of a column look like, for columns whose kind nobody declared. Each cell that
// isn't null is of exactly one class, so the set doesn't depend on the order of cells, and that of a file is the union
// of its parts'.
type classes uint8

const (
	likeInteger classes = 1 << iota
	likeNumber
	likeBoolean
	likeTimestamp
	likeText
)

// classOf is the class of a cell; 0 for a null.
func classOf(cell []byte) classes {
	switch {
	case isNull(cell):
		return 0
	case looksNumber(cell):
		if looksInteger(cell) {
			return likeInteger
		}
		return likeNumber
	}
	if _, ok := parseBoolean(cell); ok && len(cell) > 1 { // zeros and ones are integers
		return likeBoolean
	}
	if _, ok := parseTimestamp(cell); ok {
		return likeTimestamp
	}
	return likeText
}

// kind is the narrowest kind that takes all cells. Category stands for both coded kinds: the number of distinct values
// decides. Of a column without any value nothing is known, and text takes whatever comes.
func (c classes) kind() Kind {
	switch c {
	case 0:
		return Text
	case likeInteger:
		return Integer
	case likeNumber, likeInteger | likeNumber:
		return Number
	case likeBoolean:
		return Boolean
	case likeTimestamp:
		return Timestamp
	}
	return Category
}

// within reports whether cells of the classes are values of a kind that was inferred from others, with nothing lost.
func (c classes) within(k Kind) bool {
	return k.coded() && c != 0 && c.kind() == Category || c.kind() == k || c == likeInteger && k == Number
}
