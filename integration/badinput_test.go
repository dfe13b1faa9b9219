package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/spec"
)

// replaced is a file in which one row's text is another.
func replaced(row int, old, with string) []byte {
	lines := bytes.SplitAfter(csv(flights(2, 300)), []byte("\n"))
	changed := bytes.Replace(lines[row], []byte(old), []byte(with), 1)
	if bytes.Equal(changed, lines[row]) {
		panic("the row has no " + old)
	}
	lines[row] = changed
	return bytes.Join(lines, nil)
}

// cell is a file of which one row's cell is another; row 1 is the first below the header.
func cell(row, column int, with string) []byte {
	lines := strings.SplitAfter(string(csv(flights(2, 300))), "\n")
	cells := strings.Split(strings.TrimSuffix(lines[row], "\n"), ",")
	cells[column] = with
	lines[row] = strings.Join(cells, ",") + "\n"
	return []byte(strings.Join(lines, ""))
}

// renamed are the rows under other ids.
func renamed(rows []flight) []flight {
	for i := range rows {
		rows[i].id = "again-" + rows[i].id
	}
	return rows
}

func TestABadFileIsRefusedWithTheReasonAndTheChampionStays(t *testing.T) {
	m := newModel(t, shared(t), "bad-files", nil)
	m.champion(t)
	m.land(t, "nothing.csv", nil)
	r := m.ends(t, 2, activities.ValidationFailed)
	require.Contains(t, r.Reason, "empty")
	for i, c := range []struct {
		rule    string
		content []byte
		says    []string
	}{
		{"only a header", []byte(header), []string{"row"}},
		{"a ragged row", replaced(7, ",", ""), []string{"line 8"}},
		{"invalid utf-8", cell(7, 4, "\xff\xfe"), []string{"line 8", "UTF-8"}},
		{"text in a number", cell(7, 2, "half an hour"), []string{"delay", "row 7", "half an hour"}},
		{"an unknown category", cell(7, 4, "ZZ"), []string{"carrier", "row 7", "ZZ"}},
		{"a null where none may be", cell(7, 3, ""), []string{"noise", "row 7"}},
		{"the target is missing", bytes.Replace(csv(flights(2, 300)), []byte(",late\n"), []byte(",later\n"), 1), []string{"late"}},
		{"not a number", cell(7, 3, "NaN"), []string{"noise"}},
		{"an id twice", cell(7, 0, "f2-0"), []string{"id", "row 7"}},
		{"a period that another file covers", csv(renamed(flights(1, 300))), []string{"01.csv"}},
		{"not a table at all", bytes.Repeat([]byte{0, 1, 2, 255}, 1000), []string{"line 1", "NUL"}},
	} {
		data := dataFile(t, strings.ReplaceAll(c.rule, " ", "-")+".csv", c.content)
		a := m.Starter(t, "ana", "submit", m.name, "--data", data, "--wait").Want(t, 3)
		for _, says := range c.says {
			require.Contains(t, a.Out+a.Err, says, c.rule)
		}
		r := m.ends(t, 3+i, activities.ValidationFailed)
		require.Len(t, r.Refused, 1, c.rule)
		require.Empty(t, r.Files, c.rule)
		// Nothing was retried: what a file says doesn't change.
		m.closed(t, r.ID)
		require.Less(t, r.Ended.Sub(r.Started), 30*time.Second, c.rule)
	}
	require.Equal(t, 1, m.head(t).Champion)
	require.Len(t, m.head(t).Versions, 1)
	m.serves(t, 1)
	m.verified(t)
}

func TestRowsThatNothingCanBeLearnedFromEndTheRun(t *testing.T) {
	s := shared(t)
	allLate := flights(1, fileRows)
	for i := range allLate {
		allLate[i].late = true
	}
	for _, c := range []struct {
		rule    string
		content []byte
		change  func(*spec.Model)
		says    string
	}{
		{"one class only", csv(allLate), nil, "one_class"},
		{"too few rows", csv(flights(1, 40)), nil, "40"},
		{"no such target in a contract that was inferred", csv(flights(1, 300)), func(m *spec.Model) {
			m.Data.Contract, m.Data.Target = nil, "later"
		}, "later"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, s, strings.ReplaceAll(c.rule, " ", "-"), c.change)
			a := m.Starter(t, "ana", "submit", "-f", m.file(), "--data", dataFile(t, "01.csv", c.content), "--wait").Want(t, 3)
			require.Contains(t, a.Out+a.Err, c.says)
			m.ends(t, 1, activities.ValidationFailed)
			require.Empty(t, m.head(t).Versions)
		})
	}
}

func TestAProgramThatDoesntTrainEndsTheRunAndTheChampionStays(t *testing.T) {
	m := newModel(t, shared(t), "bad-programs", nil)
	m.champion(t)
	for i, c := range []struct {
		rule   string
		script string
		says   []string
	}{
		{"exits 1", "echo no luck today >&2; exit 1", []string{"exit code 1", "no luck today"}},
		{"hangs", "echo begun; sleep 600", []string{"timeout", "2s"}},
		{"prints garbage and leaves garbage", `head -c 4096 /dev/urandom; echo '{"epoch": "NaN", "metrics": []}'; head -c 4096 /dev/urandom > "$SM_MODEL_DIR/model.json"`, []string{"model"}},
		{"leaves no model", `echo '{"epoch": 1}'; echo done > "$SM_MODEL_DIR/notes.txt"`, []string{"no model", "notes.txt"}},
		{"leaves another's model", `echo '{"format": "leanloop-linear", "version": 1, "link": "sigmoid", "intercept": [0], "features": [{"name": "altitude", "kind": "number", "mean": 0, "scale": 1, "weights": [1]}]}' > "$SM_MODEL_DIR/model.json"`, []string{"altitude"}},
		{"needs more memory than it may have", `echo "$OMP_NUM_THREADS threads"; dd if=/dev/zero of=/dev/null bs=100000000 count=1`, []string{"exit code 1", "2 threads"}},
		{"isn't there", "", []string{"train.sh"}},
	} {
		script := filepath.Join(m.dir, "train.sh")
		command := []string{"/bin/sh", "train.sh"}
		if c.script == "" {
			command = []string{"./train.sh"}
			require.NoError(t, os.Remove(script))
		} else {
			require.NoError(t, os.WriteFile(script, []byte(c.script+"\n"), 0o600))
		}
		m.change(t, func(s *spec.Model) {
			s.Train.Builtin, s.Train.Command, s.Train.Timeout = "", command, spec.Duration(2*time.Second)
			s.Train.Resources = spec.Resources{CPUs: 2, Memory: 32 << 20}
		})
		a := m.Starter(t, "ana", "submit", "-f", m.file(), "--wait").Want(t, 1)
		for _, says := range c.says {
			require.Contains(t, a.Out+a.Err, says, c.rule)
		}
		r := m.ends(t, 2+i, activities.Failed)
		m.closed(t, r.ID)
		require.Less(t, r.Ended.Sub(r.Started), 40*time.Second, c.rule)
		require.NotContains(t, r.Reason, "attempt 2", "%s: a program that fails has no second try unless the spec says so", c.rule)
	}
	require.Equal(t, 1, m.head(t).Champion)
	require.Len(t, m.head(t).Versions, 1)
	m.serves(t, 1)
	m.verified(t)
}
