package parquet

import "fmt"

// Physical is how values are stored.
type Physical int32

// The physical types, numbered as in the format.
const (
	Boolean Physical = iota
	Int32
	Int64
	Int96
	Float
	Double
	ByteArray
	FixedByteArray
)

func (p Physical) String() string {
	names := []string{"BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"}
	if p >= 0 && int(p) < len(names) {
		return names[p]
	}
	return fmt.Sprintf("type %d", int32(p))
}

// Logical is what stored values mean.
type Logical uint8

// The meanings. None is the physical type's own.
const (
	None Logical = iota
	String
	Enum
	JSON
	Decimal
	Date
	Time
	Timestamp
	Integer
	Unknown // only nulls
	UUID
	Float16
	Other // one that Column.Meaning names
)

// Unit is what a timestamp counts.
type Unit uint8

// The units.
const (
	Millis Unit = iota
	Micros
	Nanos
)

// Column is a column of the top level.
type Column struct {
	Name      string
	Nested    string // why it isn't flat or can't be read, such as "a list"; "": it is and can
	Physical  Physical
	Length    int  // bytes of a FixedByteArray
	Optional  bool // may have nulls
	Logical   Logical
	Meaning   string // of Logical in the format's words, such as TIMESTAMP or BSON
	Unit      Unit   // of a Timestamp
	Unsigned  bool   // of an Integer
	Precision int    // of a Decimal: its digits
	Scale     int    // of a Decimal: those after the point

	leaf int // its number among all leaves; -1: nested
}

// element is one node of the schema, as written: the tree in depth-first order.
type element struct {
	column     Column
	group      bool // no values of its own
	children   int
	repetition int32 // 0 required, 1 optional, 2 repeated
	converted  int32 // the old form of Logical; -1: none
}

// readSchema reads the list of schema elements.
func readSchema(c *compact, maxColumns int) ([]element, error) {
	_, n := c.list()
	if limit := 8*int64(maxColumns) + 1; int64(n) > limit {
		return nil, tooMuch(int64(n), limit, "elements of the schema")
	}
	elements := make([]element, 0, min(n, 1024))
	for i := 0; i < n && c.err == nil; i++ {
		elements = append(elements, readElement(c))
	}
	return elements, nil
}

// readElement reads a SchemaElement.
func readElement(c *compact) element {
	e := element{group: true, converted: -1}
	e.column.leaf = -1
	c.structure(func(id int, kind byte) bool {
		switch {
		case id == 1 && kind == thriftI32:
			e.column.Physical, e.group = Physical(c.int32()), false
		case id == 2 && kind == thriftI32:
			e.column.Length = int(c.int32())
		case id == 3 && kind == thriftI32:
			e.repetition = c.int32()
		case id == 4 && kind == thriftBinary:
			e.column.Name = string(c.bytes())
		case id == 5 && kind == thriftI32:
			e.children = int(c.int32())
		case id == 6 && kind == thriftI32:
			e.converted = c.int32()
		case id == 7 && kind == thriftI32:
			e.column.Scale = int(c.int32())
		case id == 8 && kind == thriftI32:
			e.column.Precision = int(c.int32())
		case id == 10 && kind == thriftStruct:
			e.column.readLogical(c)
		default:
			return false
		}
		return true
	})
	if e.column.Logical == None {
		e.column.convert(e.converted)
	}
	e.column.Optional = e.repetition == 1
	return e
}

// readLogical reads a LogicalType, a union.
func (col *Column) readLogical(c *compact) {
	members := map[int]Logical{
		1: String, 4: Enum, 5: Decimal, 6: Date, 7: Time, 8: Timestamp, 10: Integer, 11: Unknown, 12: JSON, 14: UUID, 15: Float16,
	}
	names := map[int]string{
		1: "STRING", 2: "MAP", 3: "LIST", 4: "ENUM", 5: "DECIMAL", 6: "DATE", 7: "TIME", 8: "TIMESTAMP", 10: "INTEGER", 11: "UNKNOWN",
		12: "JSON", 13: "BSON", 14: "UUID", 15: "FLOAT16", 16: "VARIANT", 17: "GEOMETRY", 18: "GEOGRAPHY",
	}
	c.structure(func(member int, kind byte) bool {
		var known bool
		if col.Logical, known = members[member]; !known {
			col.Logical = Other
		}
		if col.Meaning = names[member]; col.Meaning == "" {
			col.Meaning = fmt.Sprintf("logical type %d", member)
		}
		if kind != thriftStruct {
			return false
		}
		c.structure(func(id int, kind byte) bool { return col.readParameter(c, id, kind) })
		return true
	})
}

// readParameter reads a field of the logical type that col has.
func (col *Column) readParameter(c *compact, id int, kind byte) bool {
	switch {
	case col.Logical == Decimal && id == 1 && kind == thriftI32:
		col.Scale = int(c.int32())
	case col.Logical == Decimal && id == 2 && kind == thriftI32:
		col.Precision = int(c.int32())
	case col.Logical == Timestamp && id == 2 && kind == thriftStruct:
		switch c.union() {
		case 1:
			col.Unit = Millis
		case 2:
			col.Unit = Micros
		case 3:
			col.Unit = Nanos
		default:
			col.Logical, col.Meaning = Other, "TIMESTAMP of an unknown unit"
		}
	case col.Logical == Integer && id == 2:
		col.Unsigned = kind == thriftFalse
	default:
		return false
	}
	return true
}

// convert sets the meaning by a ConvertedType, which writers of before 2019 have alone.
func (col *Column) convert(converted int32) {
	type meaning struct {
		logical Logical
		name    string
	}
	known := map[int32]meaning{
		0: {String, "UTF8"}, 1: {Other, "MAP"}, 2: {Other, "MAP_KEY_VALUE"}, 3: {Other, "LIST"}, 4: {Enum, "ENUM"}, 5: {Decimal, "DECIMAL"},
		6: {Date, "DATE"}, 7: {Time, "TIME_MILLIS"}, 8: {Time, "TIME_MICROS"}, 9: {Timestamp, "TIMESTAMP_MILLIS"}, 10: {Timestamp, "TIMESTAMP_MICROS"},
		11: {Integer, "UINT_8"}, 12: {Integer, "UINT_16"}, 13: {Integer, "UINT_32"}, 14: {Integer, "UINT_64"},
		15: {Integer, "INT_8"}, 16: {Integer, "INT_16"}, 17: {Integer, "INT_32"}, 18: {Integer, "INT_64"},
		19: {JSON, "JSON"}, 20: {Other, "BSON"}, 21: {Other, "INTERVAL"},
	}
	m, ok := known[converted]
	switch {
	case ok:
		col.Logical, col.Meaning = m.logical, m.name
	case converted >= 0:
		col.Logical, col.Meaning = Other, fmt.Sprintf("converted type %d", converted)
	}
	col.Unsigned = converted >= 11 && converted <= 14
	if converted == 10 {
		col.Unit = Micros
	}
}

// columns sets the columns of the top level, and is the type of every leaf.
func (f *File) columns(schema []element) (leaves []Physical, err error) {
	if len(schema) == 0 || !schema[0].group {
		return nil, damaged("no schema", "a schema with a root")
	}
	at := 1
	for range max(0, schema[0].children) {
		if at >= len(schema) {
			return nil, damaged("a schema of fewer elements than its root has", "all of them")
		}
		e := &schema[at]
		col := e.column
		if !e.group && e.repetition != 2 {
			col.leaf = len(leaves)
			if err := col.agree(); err != nil {
				return nil, err.in(col.Name)
			}
		} else {
			col.Nested = e.nesting()
		}
		if at, leaves, err = walk(schema, at, leaves, 0); err != nil {
			return nil, err
		}
		f.Columns = append(f.Columns, col)
	}
	if at != len(schema) {
		return nil, damaged("a schema of more elements than its root has", "each below its parent")
	}
	if n := len(leaves); n > f.meter.limits.Columns {
		return nil, tooMuch(int64(n), int64(f.meter.limits.Columns), "columns")
	}
	return leaves, nil
}

// nesting says in words what a column that isn't flat is.
func (e *element) nesting() string {
	switch e.column.Meaning {
	case "LIST":
		return "a list"
	case "MAP", "MAP_KEY_VALUE":
		return "a map"
	case "VARIANT":
		return "a variant"
	}
	if !e.group {
		return "a repeated value"
	}
	return "a struct"
}

// walk goes past the element at, and those below it, and notes the leaves.
func walk(schema []element, at int, leaves []Physical, depth int) (int, []Physical, error) {
	if depth > maxNesting {
		return 0, nil, tooMuch(int64(depth), maxNesting, "levels of nesting")
	}
	if at >= len(schema) {
		return 0, nil, damaged("a schema of fewer elements than their parents have", "all of them")
	}
	e := &schema[at]
	at++
	if !e.group {
		return at, append(leaves, e.column.Physical), nil
	}
	for range max(0, e.children) {
		var err error
		if at, leaves, err = walk(schema, at, leaves, depth+1); err != nil {
			return 0, nil, err
		}
	}
	return at, leaves, nil
}

// agree holds the meaning to the storage: a Timestamp is an INT64, and so on.
func (col *Column) agree() *Error {
	if col.Physical < Boolean || col.Physical > FixedByteArray {
		return damaged(col.Physical.String(), "a type of the format")
	}
	if col.Physical == FixedByteArray && (col.Length <= 0 || col.Length > 1<<16) {
		return damaged(fmt.Sprintf("values of %d bytes", col.Length), "1 to 65536")
	}
	p := col.Physical
	var ok bool
	switch col.Logical {
	case String, Enum, JSON:
		ok = p == ByteArray || (p == FixedByteArray && col.Logical == String)
	case Decimal:
		ok = p == Int32 || p == Int64 || p == ByteArray || p == FixedByteArray
		if col.Scale < 0 || col.Scale > col.Precision || col.Precision <= 0 || col.Precision > maxPrecision {
			return unsupported(fmt.Sprintf("DECIMAL(%d, %d)", col.Precision, col.Scale), fmt.Sprintf("a precision of 1 to %d and a scale within it", maxPrecision))
		}
	case Date:
		ok = p == Int32
	case Time, Integer:
		ok = p == Int32 || p == Int64
	case Timestamp:
		ok = p == Int64
	case UUID:
		ok = p == FixedByteArray && col.Length == 16
	case Float16:
		ok = p == FixedByteArray && col.Length == 2
	default:
		ok = true
	}
	if !ok {
		return damaged(col.Meaning+" as "+p.String(), "a type that can hold it")
	}
	return nil
}

// maxPrecision is how many digits a decimal may have: those of 256 bits, the widest that writers know.
const maxPrecision = 76
