package activities

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// logOf reads what is stored of an attempt's log, part by part as a follower does.
func (w *world) logOf(token string) (text string, final bool) {
	w.t.Helper()
	for !final {
		body, whole, err := OpenLog(w.t.Context(), w.store, theModel, w.run, token, int64(len(text)))
		if errors.Is(err, objectstore.ErrNotFound) {
			return text, false
		}
		require.NoError(w.t, err)
		raw, err := io.ReadAll(body)
		require.NoError(w.t, err)
		require.NoError(w.t, body.Close())
		text, final = text+string(raw), whole
	}
	return text, final
}

func TestALogIsReadWhileItIsWrittenAndAfter(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell")
	}
	gate := filepath.Join(t.TempDir(), "go on")
	w, _ := command(t, "#!/bin/sh\necho first line\nuntil test -e '"+gate+"'; do sleep 0.02; done\necho last line\ncp model.json \"$SM_MODEL_DIR/model.json\"\n")
	trainer := withSecret(w)
	trainer.LogEvery = time.Millisecond
	in := w.trainInput(w.snapshot())
	ended := make(chan error, 1)
	go func() { _, err := try(t, trainer.Train, in); ended <- err }()
	require.Eventually(t, func() bool {
		text, final := w.logOf(in.Token)
		return text == "first line\n" && !final
	}, 20*time.Second, 20*time.Millisecond)
	require.NoError(t, os.WriteFile(gate, nil, 0o600))
	require.NoError(t, <-ended)
	text, final := w.logOf(in.Token)
	require.True(t, final)
	require.Equal(t, "first line\nlast line\n", text)
	require.Equal(t, text, string(w.read("runs/flights/000000000001/attempts/001-abcdef01/log.txt")))
	tokens, err := Attempts(t.Context(), w.store, theModel, 1)
	require.NoError(t, err)
	require.Equal(t, []string{in.Token}, tokens)
}

func TestPartsOfALogFollowOneAnotherWhateverTheStoreDoes(t *testing.T) {
	store := objectstore.NewMemory()
	path := filepath.Join(t.TempDir(), "log.txt")
	lost := 0
	faulty := objectstore.NewFaulty(store, func(op, key string) objectstore.Fault {
		if lost++; op == "create" && lost%2 == 1 {
			return objectstore.FailAfter // it is stored, and nobody hears of it
		}
		return objectstore.NoFault
	})
	l := &liveLog{store: faulty, prefix: "runs/flights/000000000001/attempts/001-abcdef01/", path: path}
	whole := ""
	for i := range 20 {
		whole += strings.Repeat("x", i) + "\n"
		require.NoError(t, os.WriteFile(path, []byte(whole), 0o600))
		_ = l.upload(t.Context())
	}
	for range 20 {
		if l.offset == int64(len(whole)) {
			break
		}
		_ = l.upload(t.Context())
	}
	w := &world{t: t, store: store, run: 1}
	text, final := w.logOf("001-abcdef01")
	require.Equal(t, whole, text)
	require.False(t, final, "its worker was lost: what was stored is what there is")
}
