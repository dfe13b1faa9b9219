package activities

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/leanloop/leanloop/internal/objectstore"
)

func (w *world) ingestInput(o Object) IngestInput {
	return IngestInput{Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Object: o}
}

func TestIngestKeepsTheBytesAndSaysWhatIsInThem(t *testing.T) {
	w := newWorld(t)
	content := flights(january, 60, 1)
	o := w.land("2013-01.csv", content)
	out := must(t, (&Ingester{Lake: w.lake}).Ingest, w.ingestInput(o))
	require.Empty(t, out.Problem)
	require.Equal(t, 60, out.Rows)
	require.Equal(t, int64(len(content)), out.Bytes)
	require.Equal(t, january, out.From)
	require.Equal(t, january.Add(59*time.Hour), out.To)
	require.Equal(t, digestOf([]byte(content)).SHA256, out.SHA256)
	stored, _, err := objectstore.ReadAll(t.Context(), w.store, datasetPrefix(theModel, out.SHA256)+"data", 1<<20)
	require.NoError(t, err)
	require.Equal(t, content, string(stored))
	for _, name := range []string{"manifest.json", "profile.json"} {
		_, err := w.store.Stat(t.Context(), datasetPrefix(theModel, out.SHA256)+name)
		require.NoError(t, err, name)
	}
	require.NotEmpty(t, out.Contract, "the spec has no contract, so one is inferred")
}

func TestIngestReadsAnObjectOnce(t *testing.T) {
	w := newWorld(t)
	o := w.land("2013-01.csv", flights(january, 60, 1))
	counted := &countingBuckets{Buckets: w.buckets}
	w.lake.Landing = counted
	must(t, (&Ingester{Lake: w.lake}).Ingest, w.ingestInput(o))
	require.Equal(t, 1, counted.gets)
	require.Equal(t, o.Size, counted.bytes)
}

// countingBuckets counts what is read of a bucket.
type countingBuckets struct {
	objectstore.Buckets
	gets  int
	bytes int64
}

func (c *countingBuckets) Bucket(name string) objectstore.Store {
	return &countingStore{Store: c.Buckets.Bucket(name), to: c}
}

type countingStore struct {
	objectstore.Store
	to *countingBuckets
}

func (c *countingStore) Get(ctx context.Context, key string) (io.ReadCloser, objectstore.Info, error) {
	body, info, err := c.Store.Get(ctx, key)
	if err != nil {
		return nil, info, err
	}
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(body)
	c.to.gets++
	c.to.bytes += int64(len(raw))
	return io.NopCloser(bytes.NewReader(raw)), info, err
}

func TestIngestTwiceIsIngestOnce(t *testing.T) {
	w := newWorld(t)
	o := w.land("2013-01.csv", flights(january, 60, 1))
	first, taken := w.ingest(o)
	again, retaken := w.ingest(o)
	require.Equal(t, taken, retaken)
	require.Len(t, w.index().Files, 1)
	again.Contract, again.Validation, again.Page = first.Contract, first.Validation, first.Page // pinned by now, and held to
	require.Equal(t, first, again)
}

func TestWhatIsWrongWithAFileIsNoError(t *testing.T) {
	good := flights(january, 60, 1)
	lines := strings.SplitAfter(good, "\n")
	for _, c := range []struct{ name, content, says string }{
		{"empty", "", "empty"},
		{"a header alone", lines[0], "a header only"},
		{"a row with a cell too few", strings.Join(lines[:30], "") + "f1,2013-02-01T00:00:00Z,3\n", "3 cells in row 30"},
		{"bytes that aren't UTF-8", good + "f\xff,2013-02-01T00:00:00Z,1,AA,0\n", "encoding"},
		{"an unclosed quote", good + "\"f9,2013-02-01T00:00:00Z,1,AA,0\n", "quotes"},
		{"a name twice in the header", "id,id,at,late\n1,1,2013-02-01T00:00:00Z,0\n", "which column #1 has"},
		{"no event time in any row", "id,at,delay,carrier,late\n1,,2,AA,0\n2,,3,AA,1\n", "at"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			file, out := w.ingest(w.land("bad.csv", c.content))
			require.NotEmpty(t, file.Problem)
			require.False(t, out.Accepted)
			require.Contains(t, out.Reason, c.says)
			require.Contains(t, out.Reason, "s3://lake/flights/bad.csv")
			require.Len(t, w.index().Refused, 1, "it isn't asked about again")
			require.True(t, w.index().Seen(file.Object.URL(), file.Object.ETag, ""))
		})
	}
}

func TestABrokenContractNamesColumnAndRow(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 60, 1))
	bad := strings.Replace(flights(january.AddDate(0, 1, 0), 60, 2), "delay", "hold", 1)
	_, out := w.ingest(w.land("renamed.csv", bad))
	require.False(t, out.Accepted)
	require.Contains(t, out.Reason, "column delay: missing")

	lines := strings.SplitAfter(flights(january.AddDate(0, 1, 0), 60, 2), "\n")
	cells := strings.Split(lines[7], ",")
	cells[2] = "soon"
	lines[7] = strings.Join(cells, ",")
	_, out = w.ingest(w.land("text.csv", strings.Join(lines, "")))
	require.False(t, out.Accepted)
	require.Contains(t, out.Reason, "column delay")
	require.Contains(t, out.Reason, `"soon"`)
	require.Regexp(t, `row.*\b7\b`, out.Reason)
	require.Len(t, w.index().Files, 1)
}

func TestTheFirstFileHasEveryColumnThatTheSpecNames(t *testing.T) {
	w := newWorld(t, "train: {builtin: linear}", "train: {builtin: linear}", "  target: late\n", "  target: late\n  weight: size\n  features: {exclude: [gate]}\n")
	_, out := w.ingest(w.land("2013-01.csv", strings.Replace(flights(january, 60, 1), ",late\n", ",delayed\n", 1)))
	require.False(t, out.Accepted)
	require.Contains(t, out.Reason, "a column late, since data.target names it")
	require.Contains(t, out.Reason, "a column size, since data.weight names it")
	require.Contains(t, out.Reason, "a column gate, since data.features names it")
	require.Nil(t, w.index().Contract, "a refused file pins nothing")
}

func TestAnObjectThatIsGoneIsNotDecidedOn(t *testing.T) {
	w := newWorld(t)
	gone := Object{Bucket: landing, Key: "flights/gone.csv", ETag: "1"}
	file, out := w.ingest(gone)
	require.True(t, file.Gone)
	require.False(t, out.Accepted)
	require.Equal(t, "s3://lake/flights/gone.csv is gone", out.Reason)

	old := w.land("2013-01.csv", flights(january, 60, 1))
	newer := w.land("2013-01.csv", flights(january, 60, 2))
	file, out = w.ingest(old)
	require.True(t, file.Gone)
	require.Contains(t, out.Reason, "was overwritten since it landed")
	require.Empty(t, w.index().Refused)
	_, out = w.ingest(newer)
	require.True(t, out.Accepted, "the newer one is a file of its own")

	again := w.land("2013-01.csv", flights(january, 60, 2))
	require.Equal(t, newer.ETag, again.ETag)
}

func TestAStoreThatIsAwayIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	o := w.land("2013-01.csv", flights(january, 60, 1))
	for _, failing := range []string{"/data", "/manifest.json", "/profile.json", "/contract-", "/validation-"} {
		w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
			if (op == "create" || op == "put") && strings.Contains(key, failing) {
				return objectstore.FailBefore
			}
			return objectstore.NoFault
		})
		_, err := try(t, (&Ingester{Lake: w.lake}).Ingest, w.ingestInput(o))
		requireType(t, "", err)
	}
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if op == "create" {
			return objectstore.FailAfter // each is written, each answer is lost: the next attempt goes on
		}
		return objectstore.NoFault
	})
	var err error
	for range 6 {
		if _, err = try(t, (&Ingester{Lake: w.lake}).Ingest, w.ingestInput(o)); err == nil {
			break
		}
		requireType(t, "", err)
	}
	require.NoError(t, err)
}

func TestIngestTellsHistoryALittleOfWhateverIsInTheFile(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 60, 1))
	var header []string
	for i := range 400 {
		header = append(header, strings.Repeat("c", 5000)+fmt.Sprint(i))
	}
	file := must(t, (&Ingester{Lake: w.lake}).Ingest, w.ingestInput(w.land("wide.csv", strings.Join(header, ",")+"\n"+strings.Repeat(",", 399)+"\n")))
	require.NotEmpty(t, file.Failures)
	require.LessOrEqual(t, len(file.Failures), maxFailures)
	requireSmall(t, file, 64<<10)
	out := must(t, (&Ingester{Lake: w.lake}).Validate, ValidateInput{Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), File: file})
	require.LessOrEqual(t, len(out.Reason), maxText)
}

func TestARefusalSaysHowManyRulesAreBroken(t *testing.T) {
	w := newWorld(t)
	var header, cells, more []string
	for i := range 100 {
		header, cells, more = append(header, fmt.Sprintf("c%d", i)), append(cells, "1"), append(more, fmt.Sprintf("{name: c%d, type: number, max: 0}", i))
	}
	contract := "[{name: id, type: text}, {name: at, type: timestamp}, {name: late, type: integer}, " + strings.Join(more, ", ") + "]"
	w.apply("  window: {min_rows: 50}", "  window: {min_rows: 50}\n  contract: {columns: "+contract+"}")
	_, out := w.ingest(w.land("wide.csv", "id,at,late,"+strings.Join(header, ",")+"\nx,2013-01-01,1,"+strings.Join(cells, ",")+"\n"))
	require.False(t, out.Accepted)
	require.Contains(t, out.Reason, "and 95 more", "not only of those that history has room for")
}

func TestIngestBeatsWhileTheStoreIsSlow(t *testing.T) {
	w := newWorld(t)
	o := w.land("2013-01.csv", flights(january, 60, 1))
	beaten := make(chan struct{})
	var once sync.Once
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if op == "create" && strings.HasSuffix(key, "/data") {
			<-beaten // an upload that takes longer than a heartbeat may
		}
		return objectstore.NoFault
	})
	env := newEnvironment()
	env.SetOnActivityHeartbeatListener(func(*sdk.Info, converter.EncodedValues) { once.Do(func() { close(beaten) }) })
	_, err := tryIn(t, env, (&Ingester{Lake: w.lake}).Ingest, w.ingestInput(o))
	require.NoError(t, err)
}
