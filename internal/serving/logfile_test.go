package serving_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/serving"
)

// rowFiles are the files of rows that wait in the state folder.
func (w *world) rowFiles() []string {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(w.dir, "predictions", "*.rows"))
	require.NoError(w.t, err)
	return paths
}

// loggedIDs are the prediction ids in the log, each with how often it is there.
func (w *world) loggedIDs() map[string]int {
	ids := map[string]int{}
	for _, rows := range w.logged() {
		for _, row := range rows[1:] {
			ids[row[0]]++
		}
	}
	return ids
}

// ask predicts a row and gives the answer's id.
func (w *world) ask() string {
	w.t.Helper()
	a := w.predict(goodRow)
	require.Equal(w.t, http.StatusOK, a.status, a.raw)
	return a.body["prediction_id"].(string)
}

func TestRowsOfAKilledGatewayAreSentByTheNextOne(t *testing.T) {
	w := loggedWorld(t, "1.0")
	kept := w.ask()
	require.NoError(t, w.server.PersistLog())
	also := w.ask()
	require.NoError(t, w.server.PersistLog())
	lost := w.ask() // not yet written: a killed process loses it
	require.Len(t, w.rowFiles(), 1)
	require.Empty(t, w.logged())
	require.NoError(t, w.server.Crash())
	w.clock.advance(time.Minute)
	w.start()
	w.sync()
	require.Equal(t, map[string]int{kept: 1, also: 1}, w.loggedIDs(), "without %s", lost)
	require.Empty(t, w.rowFiles())
}

func TestAPartThatWasStoredBeforeTheKillIsNotStoredTwice(t *testing.T) {
	w := loggedWorld(t, "1.0")
	id := w.ask()
	require.NoError(t, w.server.PersistLog())
	data, err := os.ReadFile(w.rowFiles()[0])
	require.NoError(t, err)
	path := w.rowFiles()[0]
	w.sync()
	require.Equal(t, map[string]int{id: 1}, w.loggedIDs())
	require.NoError(t, os.WriteFile(path, data, 0o600)) // killed after the store had it, before the file was gone
	w.clock.advance(time.Minute)
	w.start()
	w.sync()
	require.Equal(t, map[string]int{id: 1}, w.loggedIDs())
	require.Empty(t, w.rowFiles())
}

func TestRowsOfAGatewayThatLivesAreItsOwn(t *testing.T) {
	w := loggedWorld(t, "1.0")
	id, first := w.ask(), w.server
	require.NoError(t, first.PersistLog())
	w.clock.advance(time.Minute)
	w.start() // by mistake, in the same state folder
	w.sync()
	require.Empty(t, w.logged())
	require.NoError(t, first.Sync(context.Background()))
	require.Equal(t, map[string]int{id: 1}, w.loggedIDs())
}

func TestPredictionsThatWaitForTheStoreWaitOnDisk(t *testing.T) {
	w := loggedWorld(t, "1.0", func(c *serving.Config) { c.LogBuffer = 400 })
	w.fail(everything)
	want := map[string]int{}
	for range 50 {
		want[w.ask()] = 1
		require.NoError(t, w.server.PersistLog())
	}
	w.fail(nil)
	w.sync()
	require.Equal(t, want, w.loggedIDs())
	require.Contains(t, w.admin("/metrics").raw, "leanloop_prediction_log_dropped_total 0")
	require.Contains(t, w.admin("/metrics").raw, "leanloop_prediction_log_bytes_held 0")
}

func TestPredictionsBeyondTheLogsDiskAreDroppedAndCounted(t *testing.T) {
	w := loggedWorld(t, "1.0", func(c *serving.Config) { c.LogDisk = 1000 })
	w.fail(everything)
	for range 50 {
		w.ask()
		require.NoError(t, w.server.PersistLog())
	}
	w.fail(nil)
	w.sync()
	kept := len(w.loggedIDs())
	require.Positive(t, kept)
	require.Less(t, kept, 50)
	require.Contains(t, w.admin("/metrics").raw, fmt.Sprintf("leanloop_prediction_log_dropped_total %d", 50-kept))
	w.ask()
	w.sync()
	require.Len(t, w.loggedIDs(), kept+1, "what was sent makes room")
}

func TestAStateFolderThatTakesNoRowsKeepsNoneFromTheStore(t *testing.T) {
	w := loggedWorld(t, "1.0")
	folder := filepath.Join(w.dir, "predictions")
	require.NoError(t, os.Remove(folder))
	require.NoError(t, os.WriteFile(folder, nil, 0o600)) // nothing can be created in it
	want := map[string]int{w.ask(): 1}
	require.ErrorContains(t, w.server.PersistLog(), "state folder")
	want[w.ask()] = 1
	require.ErrorContains(t, w.server.Sync(context.Background()), "state folder")
	require.Equal(t, want, w.loggedIDs())
	require.Contains(t, w.admin("/metrics").raw, "leanloop_prediction_log_bytes_held 0")
}

func TestAFileThatCantBeReadKeepsNoOtherWaiting(t *testing.T) {
	w := loggedWorld(t, "1.0")
	id := w.ask()
	require.NoError(t, w.server.PersistLog())
	require.NoError(t, w.server.Crash())
	folder := filepath.Join(w.dir, "predictions")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "0.rows"), []byte("what is this"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "1.rows"), nil, 0o600))
	w.clock.advance(time.Minute)
	w.start()
	w.sync()
	require.Equal(t, map[string]int{id: 1}, w.loggedIDs())
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, "0.rows.broken", left[0].Name(), "kept for people")
}

func TestPartsAreClosedBySizeAndByAge(t *testing.T) {
	w := loggedWorld(t, "1.0", func(c *serving.Config) { c.LogPart = 600 })
	for range 20 {
		w.ask()
		require.NoError(t, w.server.PersistLog())
	}
	w.sync()
	require.Greater(t, len(w.logged()), 2, "by size")

	w = loggedWorld(t, "1.0")
	w.ask()
	for _, c := range []struct {
		wait  time.Duration
		files int
	}{{14 * time.Second, 1}, {2 * time.Second, 2}} {
		w.clock.advance(c.wait)
		require.NoError(t, w.server.PersistLog())
		w.ask()
		require.NoError(t, w.server.PersistLog())
		require.Len(t, w.rowFiles(), c.files)
	}
}

// A file of rows for the fuzzer, and the rows in it.
func logFile(t testing.TB) ([]byte, [][]byte) {
	w := newWorld(t)
	w.applySpec("{log: {sample: 1.0}}")
	w.promote(w.register(flights(0)))
	w.sync()
	for i := range 6 {
		a := w.predict(fmt.Sprintf(`{"flight_key": "UA-%d", "dep_delay": %d.5, "carrier": "UA"}`, i, i))
		require.Equal(t, http.StatusOK, a.status)
		if i%2 > 0 {
			require.NoError(t, w.server.PersistLog())
		}
	}
	data, err := os.ReadFile(w.rowFiles()[0])
	require.NoError(t, err)
	require.NoError(t, w.server.Crash())
	rows, torn, err := serving.LogFileRows(data)
	require.NoError(t, err)
	require.Zero(t, torn)
	require.Len(t, rows, 6)
	return data, rows
}

// requirePrefix says that rows are the first of all: none is wrong, none is moved.
func requirePrefix(t testing.TB, all, rows [][]byte) {
	t.Helper()
	require.LessOrEqual(t, len(rows), len(all))
	for i, row := range rows {
		require.Equal(t, all[i], row)
	}
}

func TestATornFileGivesItsWholeFramesAndNothingElse(t *testing.T) {
	data, all := logFile(t)
	seen := map[int]bool{}
	for n := range data {
		for _, tail := range [][]byte{nil, make([]byte, 64), bytes.Repeat([]byte{0xff}, 64)} { // ends, or was never written
			rows, _, err := serving.LogFileRows(append(data[:n:n], tail...))
			if err == nil {
				requirePrefix(t, all, rows)
				seen[len(rows)] = true
			}
		}
	}
	require.Equal(t, map[int]bool{0: true, 2: true, 4: true}, seen)
	for at := range data {
		damaged := bytes.Clone(data)
		damaged[at] ^= 0x10
		if rows, _, err := serving.LogFileRows(damaged); err == nil {
			requirePrefix(t, all, rows)
			require.Less(t, len(rows), len(all))
		}
	}
}

func FuzzLogFile(f *testing.F) {
	data, all := logFile(f)
	f.Add(data, 0, []byte(nil))
	f.Add(data[:len(data)/2], 3, []byte{0})
	f.Add([]byte{}, 0, []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, file []byte, at int, patch []byte) {
		_, _, _ = serving.LogFileRows(file) // whatever it is: no panic, no memory beyond it
		if at < 0 || at+len(patch) > len(data) {
			return
		}
		damaged := bytes.Clone(data)
		copy(damaged[at:], patch)
		if rows, _, err := serving.LogFileRows(damaged); err == nil {
			requirePrefix(t, all, rows)
		}
	})
}

// envVictim makes the test program a gateway with that state folder, for a test that kills it.
const envVictim = "LEANLOOP_TEST_LOG_VICTIM"

// TestVictim is no test: it is what TestKilledGatewayLosesAtMostASecond kills.
func TestVictim(t *testing.T) {
	dir := os.Getenv(envVictim)
	if dir == "" {
		t.Skip("only in a process of its own")
	}
	w := newWorld(t)
	w.dir = dir
	w.applySpec("{log: {sample: 1.0}}")
	w.promote(w.register(flights(0)))
	cfg := serving.DefaultConfig()
	cfg.ID, cfg.StateDir = "gw-1", dir
	nowhere := objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if op == "create" && strings.HasPrefix(key, "predictions/") {
			return objectstore.FailBefore
		}
		return objectstore.NoFault
	})
	server, err := serving.New(cfg, serving.Ports{Store: nowhere})
	require.NoError(t, err)
	w.server = server
	go func() { _ = server.Run(context.Background()) }()
	require.Eventually(t, func() bool { return w.predict(goodRow).status == http.StatusOK }, 10*time.Second, time.Millisecond)
	for { // until it is killed
		fmt.Printf("\nanswered %d %s\n", time.Now().UnixNano(), w.ask())
		time.Sleep(time.Millisecond)
	}
}

func TestKilledGatewayLosesAtMostASecond(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process and kills it after two seconds")
	}
	w := newWorld(t)
	victim := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$", "-test.v")
	victim.Env = append(os.Environ(), envVictim+"="+w.dir)
	out, err := victim.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, victim.Start())
	type answer struct {
		at time.Time
		id string
	}
	var answers []answer
	killed := time.Time{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var ns int64
		var id string
		if n, _ := fmt.Sscanf(lines.Text(), "answered %d %s", &ns, &id); n == 2 {
			answers = append(answers, answer{time.Unix(0, ns), id})
			if killed.IsZero() && answers[len(answers)-1].at.Sub(answers[0].at) > 2*time.Second {
				killed = time.Now()
				require.NoError(t, victim.Process.Kill())
			}
		}
	}
	require.Error(t, victim.Wait())
	require.Greater(t, len(answers), 100)

	require.NoError(t, os.RemoveAll(filepath.Join(w.dir, "routes"))) // they are of a bucket that went with the victim
	w.start()
	w.sync()
	logged, kept := w.loggedIDs(), 0
	for _, a := range answers {
		if logged[a.id] == 1 {
			kept++
			continue
		}
		require.Zero(t, logged[a.id])
		require.Less(t, killed.Sub(a.at), time.Second, "answered %v before the kill, and lost", killed.Sub(a.at))
	}
	require.Greater(t, kept, 100)
}
