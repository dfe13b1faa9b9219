package training

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// filler writes 8 MiB into a folder and then waits for its end.
const filler = `echo filling; head -c 8388608 /dev/zero >"$TMPDIR/a"; sync "$TMPDIR/a" 2>/dev/null || true; exec sleep 60` + "\n"

func TestAProgramThatFillsTheDiskIsEndedAsTheScriptsFault(t *testing.T) {
	t.Parallel()
	s, in := program(t, filler)
	s.Disk = 4 << 20
	began := time.Now()
	_, err := RunCommand(t.Context(), s, in, nil)
	require.Less(t, time.Since(began), 50*time.Second, "it was ended, not waited for")
	var limit *LimitError
	require.ErrorAs(t, err, &limit)
	require.Greater(t, limit.Observed, limit.Limit)
	require.EqualValues(t, 4<<20, limit.Limit)
	require.Equal(t, []string{"filling"}, limit.Tail)
	require.ErrorContains(t, err, "train.resources.disk")
	require.Equal(t, CauseScript, Classify(err))

	p := shell(t, filler)
	p.Disk = 4 << 20
	_, err = RunProgram(t.Context(), p)
	require.ErrorAs(t, err, &limit)
	require.Equal(t, CauseScript, Classify(err))
}

func TestAProgramWithinItsDiskGoesOn(t *testing.T) {
	t.Parallel()
	s, in := program(t, `head -c 1048576 /dev/zero >"$TMPDIR/a"; sleep 1.5;`+copyModel)
	s.Disk = 16 << 20
	_, err := RunCommand(t.Context(), s, in, nil)
	require.NoError(t, err)
}

func TestAFullDiskIsWhoseFaultItIs(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a"), make([]byte, 1<<20), 0o600))
	g := newDiskGuard(folder, 1<<40)
	require.NoError(t, g.look(nil), "there is room")
	g.free = math.MaxInt64 / 2
	err := g.look(nil)
	require.ErrorContains(t, err, "the worker's disk is full")
	require.Equal(t, CauseInfrastructure, Classify(err), "others took it")
	var limit *LimitError
	g.free = 1 << 19
	require.NoError(t, g.look(nil))
	require.NoError(t, diskGuard{folder: filepath.Join(folder, "gone"), limit: 1, free: math.MaxInt64 / 2}.look(nil), "nothing to be measured")
	g.limit = 1 << 19
	require.ErrorAs(t, g.look(nil), &limit)
}

func TestTheSizeOfAFolderIsWhatItTakesOfTheDisk(t *testing.T) {
	folder := t.TempDir()
	sparse, err := os.Create(filepath.Join(folder, "sparse"))
	require.NoError(t, err)
	require.NoError(t, sparse.Truncate(1<<30))
	require.NoError(t, sparse.Close())
	require.NoError(t, os.Symlink("/usr", filepath.Join(folder, "elsewhere")))
	size, err := folderSize(folder, nil)
	require.NoError(t, err)
	require.Less(t, size, int64(1<<20))
}

func TestWhoWaitsNoLongerEndsTheGuard(t *testing.T) {
	g := newDiskGuard(t.TempDir(), 0)
	require.EqualValues(t, DefaultDisk, g.limit)
	ctx, cancel := context.WithCancel(t.Context())
	watched, stop := g.watch(ctx)
	cancel()
	<-watched.Done()
	require.NoError(t, stop())
}
