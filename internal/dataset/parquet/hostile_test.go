package parquet

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"
)

// forged is a file of one row group and one column, as someone would forge it.
type forged struct {
	meta   format.FileMetaData
	header format.PageHeader
	body   []byte
}

// honest is a file of n INT64 whose one page has room for one.
func honest(t *testing.T, n int) *forged {
	t.Helper()
	f := &forged{body: binary.LittleEndian.AppendUint64(nil, 7)}
	some := func(v int32) thrift.Null[int32] { return thrift.Null[int32]{V: v, Valid: true} }
	f.meta = format.FileMetaData{
		Version: 2, NumRows: int64(n),
		Schema: []format.SchemaElement{
			{Name: "root", NumChildren: some(1)},
			{Name: "x", Type: thrift.Null[format.Type]{V: format.Int64, Valid: true}, RepetitionType: thrift.Null[format.FieldRepetitionType]{V: format.Required, Valid: true}},
		},
		RowGroups: []format.RowGroup{{NumRows: int64(n), Columns: []format.ColumnChunk{{MetaData: format.ColumnMetaData{
			Type: format.Int64, PathInSchema: []string{"x"}, Encoding: []format.Encoding{format.Plain}, NumValues: int64(n), DataPageOffset: 4,
		}}}}},
	}
	f.header = format.PageHeader{Type: format.DataPage, UncompressedPageSize: 8, CompressedPageSize: 8,
		DataPageHeader: thrift.Null[format.DataPageHeader]{Valid: true, V: format.DataPageHeader{NumValues: int32(n), Encoding: format.Plain, DefinitionLevelEncoding: format.RLE}}}
	return f
}

// chunk is the metadata of the one column.
func (f *forged) chunk() *format.ColumnMetaData { return &f.meta.RowGroups[0].Columns[0].MetaData }

func (f *forged) bytes(t *testing.T) []byte {
	t.Helper()
	header, err := thrift.Marshal(&thrift.CompactProtocol{}, f.header)
	require.NoError(t, err)
	footer, err := thrift.Marshal(&thrift.CompactProtocol{}, f.meta)
	require.NoError(t, err)
	return withFooter(append(append([]byte(magic), header...), f.body...), footer)
}

func withFooter(pages, footer []byte) []byte {
	b := append(pages, footer...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(footer)))
	return append(b, magic...)
}

// readAll reads every flat column of a file from its first row to its last.
func readAll(b []byte, limits Limits) (values int, err error) {
	f, err := Open(bytes.NewReader(b), int64(len(b)), limits)
	if err != nil {
		return 0, err
	}
	w := &Workspace{}
	defer w.Close()
	for i := range f.Columns {
		if f.Columns[i].Nested != "" {
			continue
		}
		c, err := f.Cursor(i)
		if err != nil {
			return values, err
		}
		defer c.Close()
		for rows := int64(0); rows < f.Rows; {
			batch, err := c.Next(w, 1000)
			if err != nil {
				return values, err
			}
			rows += int64(batch.Rows)
			values += max(batch.Len(), len(batch.Codes))
		}
	}
	return values, nil
}

// allocated is how many bytes do allocates, all in all.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestClaimsAreHeldAgainstTheBytesBeforeAnythingIsAllocated(t *testing.T) {
	tests := map[string]struct {
		forge func(f *forged)
		fault Fault
		want  string
	}{
		"more rows than the limit":       {func(f *forged) { f.meta.NumRows = 1 << 40 }, TooMuch, "rows"},
		"a negative number of rows":      {func(f *forged) { f.meta.NumRows = -1 }, Damaged, "-1 rows"},
		"row groups of other rows":       {func(f *forged) { f.meta.NumRows = 2 }, Damaged, "row groups of 1 rows"},
		"row groups of negative rows":    {func(f *forged) { f.meta.RowGroups[0].NumRows = -1 }, Damaged, "row groups"},
		"row groups whose rows overflow": {func(f *forged) { f.meta.RowGroups[0].NumRows = math.MaxInt64 }, Damaged, "row groups"},
		"more values than rows":          {func(f *forged) { f.chunk().NumValues = 5 }, Damaged, "5 values in 1 rows"},
		"a page of two gigabytes":        {func(f *forged) { f.header.UncompressedPageSize = math.MaxInt32 }, TooMuch, "2147483647 bytes in a page"},
		"a page of a negative size":      {func(f *forged) { f.header.UncompressedPageSize = -1 }, Damaged, "negative size"},
		"row groups whose sum overflows to the number of rows": {func(f *forged) {
			g := f.meta.RowGroups[0]
			g.NumRows, g.Columns = math.MaxInt64, []format.ColumnChunk{{MetaData: *f.chunk()}}
			g.Columns[0].MetaData.NumValues = math.MaxInt64
			f.meta.RowGroups[0].NumRows = 3
			f.chunk().NumValues = 3
			f.meta.RowGroups = append(f.meta.RowGroups, g, g)
		}, Damaged, "row groups of more than 1 rows"},
		"a page that is shorter than it says": {func(f *forged) { f.chunk().Codec, f.body = format.Snappy, []byte("\x04\x0c1234  ") }, Damaged, "4 bytes from snappy"},
		"a gzip page that is shorter than it says": {func(f *forged) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write([]byte("1234"))
			_ = z.Close()
			f.chunk().Codec, f.body, f.header.CompressedPageSize = format.Gzip, b.Bytes(), int32(b.Len())
		}, Damaged, "4 bytes from gzip"},
		"levels longer than the stored page": {func(f *forged) {
			f.header = format.PageHeader{Type: format.DataPageV2, UncompressedPageSize: 64, CompressedPageSize: 8,
				DataPageHeaderV2: thrift.Null[format.DataPageHeaderV2]{Valid: true, V: format.DataPageHeaderV2{NumValues: 1, NumRows: 1, DefinitionLevelsByteLength: 40}}}
			f.chunk().Codec = format.Snappy
		}, Damaged, "40 bytes of levels in a page of 8"},
		"a page beyond the file":               {func(f *forged) { f.header.CompressedPageSize = 1 << 30 }, Damaged, "before the footer"},
		"a page of more values than are left":  {func(f *forged) { f.header.DataPageHeader.V.NumValues = 9 }, Damaged, "9 values where 1 are left"},
		"a page whose values end early":        {func(f *forged) { f.header.CompressedPageSize, f.header.UncompressedPageSize = 4, 4 }, Damaged, "end early"},
		"an encoding that doesn't fit":         {func(f *forged) { f.header.DataPageHeader.V.Encoding = format.DeltaByteArray }, Unsupported, "INT64 in DELTA_BYTE_ARRAY"},
		"an encoding that nobody knows":        {func(f *forged) { f.header.DataPageHeader.V.Encoding = 99 }, Unsupported, "encoding 99"},
		"indexes without a dictionary":         {func(f *forged) { f.header.DataPageHeader.V.Encoding = format.RLEDictionary }, Damaged, "without a dictionary"},
		"pages before the file's first byte":   {func(f *forged) { f.chunk().DataPageOffset = -4 }, Damaged, "pages at byte -4"},
		"pages behind the footer":              {func(f *forged) { f.chunk().DataPageOffset = 1 << 40 }, Damaged, "pages at byte"},
		"pages of another type":                {func(f *forged) { f.chunk().Type = format.Double }, Damaged, "pages of DOUBLE"},
		"a codec that nobody knows":            {func(f *forged) { f.chunk().Codec = 99 }, Unsupported, "pages in codec 99"},
		"a codec that is given up":             {func(f *forged) { f.chunk().Codec = format.LZO }, Unsupported, "pages in lzo"},
		"a snappy page that says it is longer": {func(f *forged) { f.chunk().Codec, f.body = format.Snappy, []byte("\xff\xff\xff\xff\x0f\x00\x00\x00") }, Damaged, "snappy"},
		"a gzip page that is none":             {func(f *forged) { f.chunk().Codec = format.Gzip }, Damaged, "gzip"},
		"an lz4 page that is none":             {func(f *forged) { f.chunk().Codec, f.body = format.Lz4Raw, []byte("\xff\xff\xff\xff\xff\xff\xff\xff") }, Damaged, "lz4"},
		"a wrong checksum":                     {func(f *forged) { f.header.CRC = 1 }, Damaged, "checksum"},
		"a schema without its columns":         {func(f *forged) { f.meta.Schema[0].NumChildren.V = 1 << 30 }, Damaged, "schema"},
		"a schema with columns too many":       {func(f *forged) { f.meta.Schema = append(f.meta.Schema, f.meta.Schema[1]) }, Damaged, "schema"},
		"a type that nobody knows":             {func(f *forged) { f.meta.Schema[1].Type.V = 77 }, Damaged, "type 77"},
		"values of a negative length": {func(f *forged) {
			f.meta.Schema[1].Type.V = format.FixedLenByteArray
			f.meta.Schema[1].TypeLength.V = -1
		}, Damaged, "values of"},
	}
	honestly, err := readAll(honest(t, 1).bytes(t), Limits{})
	require.NoError(t, err)
	require.Equal(t, 1, honestly)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := honest(t, 1)
			test.forge(f)
			b := f.bytes(t)
			var err error
			got := allocated(func() { _, err = readAll(b, Limits{}) })
			var wrong *Error
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, test.fault, wrong.Fault, "%v", err)
			require.Contains(t, err.Error(), test.want)
			require.Less(t, got, uint64(1<<20))
		})
	}
}

func TestAFooterOfAFewBytesCantAllocateAList(t *testing.T) {
	list := func(field byte) []byte { // a list of two billion structs
		return []byte{field<<4 | thriftList, 0xf0 | thriftStruct, 0xff, 0xff, 0xff, 0xff, 0x07}
	}
	deep := bytes.Repeat([]byte{0x1c}, 10_000) // a struct in a struct in a struct
	for name, footer := range map[string][]byte{
		"schema": list(2), "row groups": list(4), "key values": list(5), "nesting": deep, "nothing": {}, "an end at once": {0},
		"a number without an end": {0x16, 0xff, 0xff}, "a type that isn't one": {0x1f, 0}, "a string beyond the end": {0x18, 0xff, 0xff, 0x7f},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			b := withFooter([]byte(magic), footer)
			require.Less(t, allocated(func() { _, err = readAll(b, Limits{}) }), uint64(1<<20))
			var wrong *Error
			require.ErrorAs(t, err, &wrong)
		})
	}
}

func TestWhatIsNoParquetFile(t *testing.T) {
	good := honest(t, 1).bytes(t)
	for want, b := range map[string][]byte{
		"0 bytes": {}, "5 bytes": []byte("PAR1P"), `"a,b\n"`: []byte("a,b\n1,2\n3,4\n"), "was the file cut off?": good[:len(good)-3],
		"an encrypted footer": append(bytes.Clone(good[:len(good)-4]), "PARE"...),
		"a footer of":         append(bytes.Clone(good[:len(good)-8]), "\xff\xff\xff\x7fPAR1"...),
	} {
		_, err := readAll(b, Limits{})
		require.ErrorContains(t, err, want)
	}
}

func TestAZipBombIsRefusedByItsDeclaredSize(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	f := honest(t, 1)
	const page = 100 << 20
	f.body = encoder.EncodeAll(make([]byte, page), nil)
	f.chunk().Codec = format.Zstd
	f.header.UncompressedPageSize, f.header.CompressedPageSize = page, int32(len(f.body))
	b := f.bytes(t)
	got := allocated(func() { _, err = readAll(b, Limits{}) })
	require.ErrorContains(t, err, "at most 200 times the file's bytes")
	require.Less(t, got, uint64(1<<20))

	f.header.UncompressedPageSize = 8 // a lie: the page is longer
	b = f.bytes(t)
	got = allocated(func() { _, err = readAll(b, Limits{}) })
	require.ErrorContains(t, err, "zstd")
	require.Less(t, got, uint64(8<<20))
}

func TestPagesOfOneMomentShareALimit(t *testing.T) {
	b := honest(t, 1).bytes(t)
	_, err := readAll(b, Limits{Open: 10})
	require.ErrorContains(t, err, "bytes in the pages of one moment")
	_, err = readAll(b, Limits{Bytes: 7})
	require.ErrorContains(t, err, "bytes decompressed, want at most 7")
}

// seeds are files of other writers.
func seeds(t testing.TB) map[string][]byte {
	names, err := filepath.Glob("../testdata/parquet/*.parquet")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	files := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		files[filepath.Base(name)] = b
	}
	return files
}

// hostileLimits keep what one input may do small; hostileAlloc is what it may allocate in all: a page, its slices and its
// dictionary, column after column.
func hostileLimits() Limits {
	return Limits{Rows: 1 << 14, Columns: 100, Cell: 1 << 12, Page: 1 << 18, Open: 1 << 20, Bytes: 1 << 22, Ratio: 200}
}

const hostileAlloc = 128 << 20

func TestFilesThatAreCutOffAreRefused(t *testing.T) {
	for name, b := range seeds(t) {
		for at := 0; at < len(b); at += 1 + len(b)/97 {
			_, err := readAll(b[:at], hostileLimits())
			var wrong *Error
			require.ErrorAs(t, err, &wrong, "%s, %d bytes", name, at)
		}
	}
}

func TestFilesWithFlippedBitsDontPanic(t *testing.T) {
	stride := 5
	if testing.Short() {
		stride = 53
	}
	for name, b := range seeds(t) {
		for at := 0; at < len(b); at += stride {
			flipped := bytes.Clone(b)
			flipped[at] ^= byte(1 << (at % 8))
			_, err := readAll(flipped, hostileLimits())
			var wrong *Error
			if err != nil {
				require.ErrorAs(t, err, &wrong, "%s, byte %d", name, at)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var err error
		got := allocated(func() { _, err = readAll(b, hostileLimits()) })
		var wrong *Error
		if err != nil {
			require.ErrorAs(t, err, &wrong)
		}
		require.Less(t, got, uint64(hostileAlloc))
	})
}

// pages is a file of one row group, of one INT64 column, whose pages are these.
func pages(t *testing.T, rows int, of ...forgedPage) []byte {
	t.Helper()
	f := honest(t, rows)
	b := []byte(magic)
	for _, p := range of {
		p.header.UncompressedPageSize, p.header.CompressedPageSize = int32(len(p.body)), int32(len(p.body))
		header, err := thrift.Marshal(&thrift.CompactProtocol{}, p.header)
		require.NoError(t, err)
		b = append(append(b, header...), p.body...)
	}
	footer, err := thrift.Marshal(&thrift.CompactProtocol{}, f.meta)
	require.NoError(t, err)
	return withFooter(b, footer)
}

type forgedPage struct {
	header format.PageHeader
	body   []byte
}

// data is a page of n values.
func data(n int, e format.Encoding, body ...byte) forgedPage {
	return forgedPage{format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.Null[format.DataPageHeader]{Valid: true,
		V: format.DataPageHeader{NumValues: int32(n), Encoding: e, DefinitionLevelEncoding: format.RLE}}}, body}
}

func TestADictionaryIsReadAgainWhereItIsNeededAgain(t *testing.T) {
	dictionary := forgedPage{format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.Null[format.DictionaryPageHeader]{Valid: true,
		V: format.DictionaryPageHeader{NumValues: 2, Encoding: format.Plain}}}, []byte{7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0}}
	coded := data(3, format.RLEDictionary, 1, 6, 1) // three times the second value, one bit each
	own := data(1, format.Plain, 9, 0, 0, 0, 0, 0, 0, 0)
	index := forgedPage{format.PageHeader{Type: format.IndexPage}, []byte("whatever")}
	b := pages(t, 8, dictionary, coded, own, index, coded, own)
	f, err := Open(bytes.NewReader(b), int64(len(b)), Limits{})
	require.NoError(t, err)
	c, err := f.Cursor(0)
	require.NoError(t, err)
	w := &Workspace{}
	defer w.Close()
	var got []int64
	for len(got) < 8 {
		batch, err := c.Next(w, 2)
		require.NoError(t, err)
		got = append(got, batch.Ints...)
		for _, code := range batch.Codes {
			got = append(got, batch.Dict.Ints[code])
		}
	}
	require.Equal(t, []int64{8, 8, 8, 9, 8, 8, 8, 9}, got)
	c.Close()
	require.Zero(t, f.meter.open.Load(), "all memory was given back")

	_, err = readAll(pages(t, 8, dictionary, coded, dictionary, coded), Limits{})
	require.ErrorContains(t, err, "a second dictionary")
	_, err = readAll(pages(t, 8, dictionary, data(8, format.RLEDictionary, 2, 16, 2)), Limits{})
	require.ErrorContains(t, err, "index 2 in a dictionary of 2 values")
}
