//go:build unix

package checkpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/objectstore"
)

const attempts = "runs/m/1/attempts/"

func theOrigin() Origin { return Origin{Run: "lifecycle/m/1", Snapshot: "s", Spec: "p"} }

// desk is an attempt's folder and its saver.
type desk struct {
	t     *testing.T
	store *objectstore.Memory
	saver *Saver
	now   time.Time
}

func newDesk(t *testing.T, store *objectstore.Memory, attempt int) *desk {
	d := &desk{t: t, store: store, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	token := fmt.Sprintf("%03d-abc", attempt)
	d.saver = &Saver{
		Store: store, Prefix: attempts + token + "/checkpoints/", Dir: filepath.Join(t.TempDir(), "checkpoints"), Staging: filepath.Join(t.TempDir(), "staging"),
		Origin: theOrigin(), Attempt: attempt, Token: token, Every: time.Second, Now: func() time.Time { return d.now },
	}
	return d
}

// write replaces a file in place, a second later.
func (d *desk) write(name, content string) {
	d.t.Helper()
	d.now = d.now.Add(time.Second)
	path := filepath.Join(d.saver.Dir, name)
	require.NoError(d.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(d.t, os.WriteFile(path, []byte(content), 0o600))
	require.NoError(d.t, os.Chtimes(path, d.now, d.now))
}

// rename puts a file in place whole.
func (d *desk) rename(name, content string) {
	d.t.Helper()
	d.write(name+".tmp", content)
	require.NoError(d.t, os.Rename(filepath.Join(d.saver.Dir, name+".tmp"), filepath.Join(d.saver.Dir, name)))
}

func (d *desk) look() {
	d.t.Helper()
	require.NoError(d.t, d.saver.look(d.t.Context()))
}

// restored is what an attempt after all others starts with, by path.
func restored(t *testing.T, store Source) (map[string]string, Restored) {
	t.Helper()
	into := filepath.Join(t.TempDir(), "checkpoints")
	r, err := Restore(t.Context(), store, attempts, "checkpoints/", other("999-abc"), theOrigin(), into)
	require.NoError(t, err)
	files := map[string]string{}
	l, err := take(into)
	require.NoError(t, err)
	for _, s := range l {
		raw, err := os.ReadFile(filepath.Join(into, s.path))
		require.NoError(t, err)
		files[s.path] = string(raw)
	}
	require.NoDirExists(t, into+".part")
	return files, r
}

func TestAFolderComesBackAsItWas(t *testing.T) {
	d := newDesk(t, objectstore.NewMemory(), 1)
	d.saver.Report(7)
	d.now = d.now.Add(time.Second)
	d.write("model.pt", "weights")
	d.write("deep/er/optimizer.pt", "moments")
	d.write("empty", "")
	d.write("twin.pt", "weights")
	d.now = d.now.Add(time.Second)
	d.saver.Report(8)
	d.look()
	require.Nil(t, d.saver.Newest(), "one look can't tell that it is complete")
	d.look()
	require.Equal(t, 7, d.saver.Newest().Step, "the last step that was reported when it was written")
	files, r := restored(t, d.store)
	require.Equal(t, map[string]string{"model.pt": "weights", "deep/er/optimizer.pt": "moments", "empty": "", "twin.pt": "weights"}, files)
	require.Equal(t, 7, r.Manifest.Step)
	require.Empty(t, r.Skipped)
	require.NoDirExists(t, d.saver.Staging)
}

func TestAFileThatChangesBetweenTwoLooksWaits(t *testing.T) {
	d := newDesk(t, objectstore.NewMemory(), 1)
	for i := range 5 {
		d.write("model.pt", strings.Repeat("x", i))
		d.write("other.pt", strings.Repeat("x", i))
		d.look()
	}
	require.Nil(t, d.saver.Newest())
	d.look()
	require.NotNil(t, d.saver.Newest())
}

func TestARenamedFileIsCompleteAtOnce(t *testing.T) {
	d := newDesk(t, objectstore.NewMemory(), 1)
	d.write("settings.json", "s")
	d.rename("state.json", "1")
	d.look()
	for i := range 5 {
		d.rename("state.json", fmt.Sprint(i))
		d.look()
		require.Equal(t, i+1, d.saver.Newest().Sequence)
		files, _ := restored(t, d.store)
		require.Equal(t, map[string]string{"settings.json": "s", "state.json": fmt.Sprint(i)}, files)
	}
}

func TestANumberedCheckpointIsCompleteWhenTheNextBegins(t *testing.T) {
	d := newDesk(t, objectstore.NewMemory(), 1)
	for i := 1; i <= 4; i++ {
		d.write(fmt.Sprintf("checkpoint-%d/model.pt", i), fmt.Sprint("model ", i))
		d.write(fmt.Sprintf("checkpoint-%d/optimizer.pt", i), fmt.Sprint("optimizer ", i))
	}
	d.write("checkpoint-5/model.pt", "half")
	d.look()
	files, r := restored(t, d.store)
	require.Equal(t, map[string]string{"checkpoint-4/model.pt": "model 4", "checkpoint-4/optimizer.pt": "optimizer 4"}, files)
	require.Equal(t, 4, r.Manifest.Step)
}

func TestWhatIsNoCheckpointIsLeftOut(t *testing.T) {
	d := newDesk(t, objectstore.NewMemory(), 1)
	for _, name := range []string{".hidden", "a.tmp", "b.part", "c~", ".git/config", "x.tmp/y"} {
		d.write(name, "half")
	}
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(d.saver.Dir, "link")))
	require.NoError(t, os.Symlink("/etc", filepath.Join(d.saver.Dir, "folder")))
	d.look()
	d.look()
	require.Nil(t, d.saver.Newest(), "an empty checkpoint is none")
}

func TestTooManyFilesAreNotKept(t *testing.T) {
	d := newDesk(t, objectstore.NewMemory(), 1)
	for i := range MaxFiles + 1 {
		d.write(fmt.Sprint(i), "")
	}
	var large *TooLarge
	require.ErrorAs(t, d.saver.look(t.Context()), &large)
}

func TestTwoCheckpointsAreKeptWhateverTheNumber(t *testing.T) {
	d := newDesk(t, objectstore.NewMemory(), 1)
	d.write("constant", "c")
	for i := range 50 {
		d.saver.Report(i)
		d.write("a", fmt.Sprint("a", i))
		d.write("b", fmt.Sprint("b", i))
		d.look()
		d.look()
	}
	objects := 0
	require.NoError(t, d.store.List(t.Context(), attempts, func(i objectstore.Info) error { objects++; return nil }))
	require.LessOrEqual(t, objects, slots+1+2*(slots+1), "manifests, the constant file, two files of each and of the one being written")
	files, r := restored(t, d.store)
	require.Equal(t, "a49", files["a"])
	require.Equal(t, 49, r.Manifest.Step)
}

func TestTheNewestStepOfAllAttemptsIsTaken(t *testing.T) {
	store := objectstore.NewMemory()
	for attempt, step := range map[int]int{1: 30, 2: 50, 3: 50, 4: 40} {
		d := newDesk(t, store, attempt)
		d.saver.Report(step)
		d.write("state", fmt.Sprint("of attempt ", attempt))
		d.look()
		d.look()
	}
	files, r := restored(t, store)
	require.Equal(t, "of attempt 3", files["state"])
	require.Equal(t, 50, r.Manifest.Step)
}

func TestADamagedCheckpointIsSkippedForTheOneBefore(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, store *objectstore.Memory, prefix string, newest *Manifest){
		"a file that is gone": func(_ *testing.T, store *objectstore.Memory, prefix string, m *Manifest) {
			store.Remove(blobKey(prefix, m.Files[0].Blob))
		},
		"a file that is cut": func(t *testing.T, store *objectstore.Memory, prefix string, m *Manifest) {
			put(t, store, blobKey(prefix, m.Files[0].Blob), "a")
		},
		"a file that is altered": func(t *testing.T, store *objectstore.Memory, prefix string, m *Manifest) {
			put(t, store, blobKey(prefix, m.Files[0].Blob), "b2")
		},
		"a manifest that is cut": func(t *testing.T, store *objectstore.Memory, prefix string, m *Manifest) {
			put(t, store, manifestKey(prefix, m.Sequence%slots), `{"version":1,`)
		},
		"a manifest of another run": func(t *testing.T, store *objectstore.Memory, prefix string, m *Manifest) {
			m.Run = "lifecycle/m/2"
			put(t, store, manifestKey(prefix, m.Sequence%slots), m)
		},
		"a manifest that leads outside": func(t *testing.T, store *objectstore.Memory, prefix string, m *Manifest) {
			m.Files[0].Path = "../outside"
			put(t, store, manifestKey(prefix, m.Sequence%slots), m)
		},
		"a file that is a folder as well": func(t *testing.T, store *objectstore.Memory, prefix string, m *Manifest) {
			again := m.Files[0]
			again.Path += "/below"
			m.Files = append(m.Files, again)
			put(t, store, manifestKey(prefix, m.Sequence%slots), m)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, objectstore.NewMemory(), 1)
			for i := 1; i <= 2; i++ {
				d.write("state", fmt.Sprint("a", i))
				d.look()
				d.look()
			}
			damage(t, d.store, d.saver.Prefix, d.saver.Newest())
			files, r := restored(t, d.store)
			require.Equal(t, map[string]string{"state": "a1"}, files)
			require.Len(t, r.Skipped, 1)
		})
	}
}

func put(t *testing.T, store *objectstore.Memory, key string, v any) {
	t.Helper()
	text, ok := v.(string)
	if !ok {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		text = string(raw)
	}
	_, err := store.Put(t.Context(), key, strings.NewReader(text), int64(len(text)))
	require.NoError(t, err)
}

func TestAStoreThatIsAwayIsNoEmptyFolder(t *testing.T) {
	d := newDesk(t, objectstore.NewMemory(), 1)
	d.write("state", "1")
	d.look()
	d.look()
	for _, away := range []string{"folders", "get"} {
		store := objectstore.NewFaulty(d.store, func(op, _ string) objectstore.Fault {
			if op == away {
				return objectstore.FailBefore
			}
			return objectstore.NoFault
		})
		_, err := Restore(t.Context(), store, attempts, "checkpoints/", other("999"), theOrigin(), filepath.Join(t.TempDir(), "into"))
		require.ErrorIs(t, err, objectstore.ErrInjected, away)
	}
}

func TestWhatAProgramWroteLastIsKeptIfItEndedInOrder(t *testing.T) {
	for _, inOrder := range []bool{true, false} {
		d := newDesk(t, objectstore.NewMemory(), 1)
		d.write("state", "1")
		d.look()
		d.look()
		d.write("state", "half?")
		require.NoError(t, d.saver.Last(t.Context(), inOrder))
		files, _ := restored(t, d.store)
		require.Equal(t, map[bool]string{true: "half?", false: "1"}[inOrder], files["state"])
	}
}

func TestWhatWasGivenIsNotStoredAgain(t *testing.T) {
	d := newDesk(t, objectstore.NewMemory(), 2)
	d.write("state", "1")
	require.NoError(t, d.saver.Start(12))
	d.look()
	d.look()
	require.Nil(t, d.saver.Newest())
	d.write("state", "2")
	d.look()
	d.look()
	require.Equal(t, 12, d.saver.Newest().Step, "a program that reports nothing goes on counting from where it was")
}

func TestTroubleIsToldOnceAndTriedAgain(t *testing.T) {
	d := newDesk(t, objectstore.NewMemory(), 1)
	away := true
	d.saver.Store = objectstore.NewFaulty(d.store, func(string, string) objectstore.Fault {
		if away {
			return objectstore.FailBefore
		}
		return objectstore.NoFault
	})
	var told []error
	d.saver.Trouble = func(err error) { told = append(told, err) }
	d.write("state", "1")
	for range 4 {
		d.saver.tell(t.Context(), d.saver.look(t.Context()))
	}
	require.Len(t, told, 1)
	away = false
	d.look()
	files, _ := restored(t, d.store)
	require.Equal(t, "1", files["state"])
}

func TestRunKeepsUntilItsContextEnds(t *testing.T) {
	d := newDesk(t, objectstore.NewMemory(), 1)
	d.saver.Every = time.Millisecond
	d.write("state", "1")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.saver.Run(ctx) }()
	require.Eventually(t, func() bool { return d.saver.Newest() != nil }, 10*time.Second, time.Millisecond)
	cancel()
	<-done
}

func TestStepsStandBehindTheirWords(t *testing.T) {
	for name, want := range map[string]int{
		"checkpoint-500/model.pt": 500, "step_000120.pt": 120, "epoch=3-step=1200.ckpt": 1200, "ckpt7": 7, "Model-Epoch-2.h5": 2, "round12": 12,
		"resnet50.pt": -1, "model.v2.json": -1, "misstep5": -1, "shard-00001-of-00004": -1, "step": -1, "step-12345678901": -1,
	} {
		got, ok := Step(name)
		if !ok {
			got = -1
		}
		require.Equal(t, want, got, name)
	}
}

// Whatever a program writes, and wherever the store or the worker fails, what comes back is a folder as it was at one look.
func TestWhatComesBackWasOnceThere(t *testing.T) {
	base := t.TempDir()
	worlds := 0
	rapid.Check(t, func(r *rapid.T) {
		worlds++
		memory := objectstore.NewMemory()
		failing := false
		store := objectstore.NewFaulty(memory, func(op, _ string) objectstore.Fault {
			if failing && op == "put" {
				return rapid.SampledFrom([]objectstore.Fault{objectstore.NoFault, objectstore.FailBefore, objectstore.FailAfter}).Draw(r, "fault")
			}
			return objectstore.NoFault
		})
		dir := filepath.Join(base, fmt.Sprint(worlds))
		s := &Saver{Store: store, Prefix: attempts + "001/checkpoints/", Dir: filepath.Join(dir, "c"), Staging: filepath.Join(dir, "s"), Origin: theOrigin(), Attempt: 1, Token: "001", Every: time.Second, Now: time.Now}
		if err := os.MkdirAll(s.Dir, 0o700); err != nil {
			r.Fatal(err)
		}
		states := map[string]bool{"": true}
		clock := time.Now()
		for i := range rapid.IntRange(1, 12).Draw(r, "steps") {
			for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "d/c"}), rapid.ID[string]).Draw(r, "files") {
				path := filepath.Join(s.Dir, name)
				clock = clock.Add(time.Second)
				_ = os.MkdirAll(filepath.Dir(path), 0o700)
				content := fmt.Sprint(name, i%rapid.IntRange(1, 3).Draw(r, "variety"))
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					r.Fatal(err)
				}
				_ = os.Chtimes(path, clock, clock)
			}
			states[folderText(s.Dir)] = true
			failing = rapid.Bool().Draw(r, "failing")
			_, _ = s.look(context.Background()), s.look(context.Background())
		}
		into := filepath.Join(dir, "back")
		if _, err := Restore(context.Background(), memory, attempts, "checkpoints/", other("002"), theOrigin(), into); err != nil {
			r.Fatal(err)
		}
		if back := folderText(into); !states[back] {
			r.Fatalf("observed %q, which was never there", back)
		}
	})
}

// folderText is a folder's files and what they hold.
func folderText(dir string) string {
	l, err := take(dir)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, s := range l {
		raw, _ := os.ReadFile(filepath.Join(dir, s.path))
		fmt.Fprintf(&b, "%s=%s;", s.path, raw)
	}
	return b.String()
}

// other says of every token but one's own that it is another attempt's.
func other(own string) func(string) bool { return func(token string) bool { return token != own } }
