package suite

import (
	"math"
	"strconv"
	"strings"

	"github.com/leanloop/leanloop/internal/instant"
)

// ValueKind is what a value is in JSON.
type ValueKind uint8

// The kinds of values.
const (
	TextValue ValueKind = iota
	NumberValue
	BooleanValue
)

// Value is one value of a set, or a bound.
type Value struct {
	Kind    ValueKind
	Text    string
	Number  float64
	Boolean bool
}

// String is the value as a cell of a category has it: texts as they are, whole numbers without a point.
func (v Value) String() string {
	switch v.Kind {
	case NumberValue:
		return FormatNumber(v.Number)
	case BooleanValue:
		return strconv.FormatBool(v.Boolean)
	}
	return v.Text
}

// Float is the value as a cell of a number, integer or boolean column has it: true is 1, and a text is none.
func (v Value) Float() (float64, bool) {
	switch {
	case v.Kind == NumberValue:
		return v.Number, true
	case v.Kind == BooleanValue && v.Boolean:
		return 1, true
	}
	return 0, v.Kind == BooleanValue
}

// Time is the value in Unix nanoseconds.
func (v Value) Time() (int64, bool) {
	if v.Kind != TextValue {
		return 0, false
	}
	return instant.Parse(v.Text)
}

// JSON is the value as it was given.
func (v Value) JSON() any {
	switch v.Kind {
	case NumberValue:
		return v.Number
	case BooleanValue:
		return v.Boolean
	}
	return v.Text
}

// above compares values of one kind.
func (v Value) above(other Value) bool {
	if v.Kind == NumberValue {
		return v.Number > other.Number
	}
	a, ok := v.Time()
	b, also := other.Time()
	return ok && also && a > b
}

// FormatNumber is the shortest decimal that reads back to f, whole numbers without a point.
func FormatNumber(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// typeNames maps what pandas, NumPy, SQL and Spark call types, in lower case, to the types of a contract whose columns hold
// such values. Floats take whole numbers: pandas makes floats of integers where a column has nulls.
func typeNames() map[string][]string {
	names := map[string][]string{}
	add := func(types []string, list string) {
		for _, name := range strings.Fields(list) {
			names[name] = types
		}
	}
	add([]string{"integer"}, "int int8 int16 int32 int64 uint8 uint16 uint32 uint64 integer bigint smallint tinyint long short byte "+
		"integertype longtype shorttype bytetype int64dtype int32dtype int_ ")
	add([]string{"number", "integer"}, "float float16 float32 float64 double real numeric decimal number float_ floattype doubletype decimaltype float64dtype double_precision")
	add([]string{"category", "text"}, "str string object object_ o varchar nvarchar char nchar text category categoricaldtype stringtype stringdtype str_ unicode")
	add([]string{"boolean"}, "bool bool_ boolean booltype booleantype booleandtype")
	add([]string{"timestamp"}, "datetime date timestamp datetime64 datetime64[ns] datetime64[us] datetimetztype timestamptype datetype timestamp_ntz timestamptz")
	return names
}

// typeName checks a type's name.
func (a *arguments) typeName(at, name string) string {
	if _, ok := typeNames()[strings.ToLower(name)]; !ok && name != "" {
		a.fail(at, "such as int64, float64, str, bool, datetime64[ns], VARCHAR or IntegerType; docs/expectations.md has the table", "%q is an unknown type", name)
	}
	return name
}

// OfType reports whether a column of the contract's type holds values of a named type.
func OfType(name, columnType string) bool {
	for _, t := range typeNames()[strings.ToLower(name)] {
		if t == columnType {
			return true
		}
	}
	return false
}
