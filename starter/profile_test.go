package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset/profile"
)

func TestSessionOfAProfile(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "jan.csv", columnsCSV("day,age,plan,note,paid", 40, func(i int) string {
		return fmt.Sprintf("2013-01-%02d,%.2f,%s,,%t", 1+i/2, 20+float64(i%9)/4, []string{"basic", "gold", "basic"}[i%3], i%4 == 0)
	}))
	w.file(dir, "model.yaml", strings.Replace(modelYAML, "window:", "contract: {columns: [{name: age, type: integer, nullable: true}, {name: plan, type: category}, {name: id, type: text, optional: true}, {name: left, type: integer, optional: true}]}, window:", 1))
	w.file(dir, "bare.yaml", modelYAML)
	w.file(dir, "ragged.csv", "x,y\n1,a\n2\n")
	require.Equal(t, exitOK, w.starter("profile", "jan.csv", "--html", "profile.html"))
	require.Equal(t, exitOK, w.starter("profile", "jan.csv", "--contract", "model.yaml"), w.stderr.String())
	require.Equal(t, exitUsage, w.starter("profile", "jan.csv", "--contract", "bare.yaml"))
	require.Equal(t, exitUsage, w.starter("profile", "none.csv"))
	require.Equal(t, exitUsage, w.starter("profile", "-"))
	require.Equal(t, exitGate, w.starter("profile", "ragged.csv"))
	w.golden("profile")
	requirePage(t, "profile.html", "jan.csv", "plan")
}

// requirePage looks at a report: a whole HTML document that names what it is about, and asks no network for anything.
func requirePage(t *testing.T, path string, names ...string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	page := string(raw)
	require.True(t, strings.HasPrefix(strings.ToLower(page), "<!doctype html>"))
	require.Contains(t, page, "</html>")
	for _, name := range names {
		require.Contains(t, page, name)
	}
	for _, outside := range []string{"<script", " src=\"http", "<link", "@import"} {
		require.NotContains(t, page, outside)
	}
	others, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, f := range others {
		require.NotContains(t, f.Name(), ".part-")
	}
}

func TestAProfileFromAPipeIsThatOfTheFile(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "a.csv", columnsCSV("x,y", 500, func(i int) string { return fmt.Sprintf("%d,%d.5", i, i%30) }))
	require.Equal(t, exitOK, w.starter("profile", "a.csv", "-o", "json"))
	want := w.stdout.String()
	f, err := os.Open("a.csv")
	require.NoError(t, err)
	defer f.Close()
	w.in = f
	require.Equal(t, exitOK, w.starter("profile", "-", "--format", "csv", "-o", "json"))
	require.True(t, strings.Replace(want, `"a.csv"`, `"standard input"`, 1) == w.stdout.String(), "the same profile, byte for byte")
	var got struct{ Profile profile.Profile }
	require.NoError(t, json.Unmarshal(w.stdout.Bytes(), &got))
	require.EqualValues(t, 500, got.Profile.Rows)
}

func TestAReportAppearsWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, writePage("a.html", func(w io.Writer) error { _, err := io.WriteString(w, "first"); return err }))
	require.ErrorContains(t, writePage("a.html", func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return io.ErrClosedPipe
	}), "--html a.html.part-")
	raw, err := os.ReadFile("a.html")
	require.NoError(t, err)
	require.Equal(t, "first", string(raw))
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, writePage("", nil), "nobody asked for one")
	require.ErrorContains(t, checkPage("."), "it is a folder")
	require.ErrorContains(t, checkPage("a.html/b.html"), "no folder")
}

func TestAReportNeverReplacesWhatIsRead(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "a.csv", churnCSV)
	w.file(dir, "b.csv", churnCSV)
	require.NoError(t, os.Symlink("a.csv", "link.csv"))
	require.Equal(t, exitUsage, w.starter("profile", "a.csv", "--html", "a.csv"))
	require.Contains(t, w.stderr.String(), "it would replace")
	require.Equal(t, exitUsage, w.starter("profile", "link.csv", "--html", dir+"/a.csv"))
	require.Equal(t, exitUsage, w.starter("drift", "--reference", "a.csv", "--current", "b.csv", "--html", "b.csv"))
	require.Equal(t, exitUsage, w.starter("drift", "--reference", "a.csv", "--current", "b.csv", "--html", "a.csv"))
	require.Equal(t, exitUsage, w.starter("profile", "a.csv", "--html", "-"))
	require.Contains(t, w.stderr.String(), "/dev/stdout")
	for _, name := range []string{"a.csv", "b.csv"} {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, churnCSV, string(raw), name)
	}
	require.NoFileExists(t, "-")
}

func TestAFormatThatIsNoneIsAUsageError(t *testing.T) {
	w := newSession(t)
	w.file(w.inFolder(), "a.csv", churnCSV)
	for _, args := range [][]string{{"profile", "a.csv"}, {"drift", "--reference", "a.csv", "--current", "a.csv"}} {
		require.Equal(t, exitUsage, w.starter(append(args, "--format", "xml")...))
		require.Contains(t, w.stderr.String(), "--format xml: want csv, csv.gz, csv.zst or parquet")
	}
}

func TestReadingIsShownToAPersonOnly(t *testing.T) {
	w := newSession(t)
	require.Nil(t, w.reading().of(&dataFile{name: "a.csv"}), "nobody watches")
	now := t0
	w.now = func() time.Time { return now }
	w.terminal = func(any) bool { return true }
	r := w.reading()
	first, second := r.of(&dataFile{name: "a.csv", size: 4 << 10}), r.of(&dataFile{name: "b\x1b.csv"})
	first(100, 1<<10)
	require.Empty(t, w.stderr.String(), "a file that is read at once shows nothing")
	now = now.Add(time.Second)
	second(7, 3)
	require.Equal(t, "\r\x1b[Ka.csv  1.0 KiB of 4.0 KiB, 100 rows   b .csv  3 B, 7 rows", w.stderr.String())
	r.end()
	require.True(t, strings.HasSuffix(w.stderr.String(), "\r\x1b[K"))
}

// A terminal that never says anything must not keep a command that was told to end.
func TestAPipeEndsWithItsContext(t *testing.T) {
	from, to := io.Pipe()
	defer to.Close()
	ctx, stop := context.WithCancel(t.Context())
	p := newPipeReader(ctx, from)
	go func() { _, _ = io.WriteString(to, "abc") }()
	b := make([]byte, 2)
	n, err := p.Read(b)
	require.NoError(t, err)
	require.Equal(t, "ab", string(b[:n]))
	n, err = p.Read(b)
	require.NoError(t, err)
	require.Equal(t, "c", string(b[:n]))
	stop()
	_, err = p.Read(b)
	require.ErrorIs(t, err, ctx.Err())
}

// A reader of standard output that goes away ends the process where it stands.
func TestWhatWasKeptOfAPipeIsGoneBeforeAnythingIsPrinted(t *testing.T) {
	w := newSession(t)
	w.inFolder()
	kept := t.TempDir()
	t.Setenv("TMPDIR", kept)
	var left []os.DirEntry
	w.out = writerFunc(func(p []byte) (int, error) {
		var err error
		left, err = os.ReadDir(kept)
		return len(p), err
	})
	w.in = strings.NewReader(churnCSV)
	require.Equal(t, exitOK, w.starter("profile", "-", "--format", "csv"), w.stderr.String())
	require.Empty(t, left)
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestASharesTextIsNothingOrAllOnlyWhereItIs(t *testing.T) {
	for share, want := range map[float64]string{0: "0%", 1: "100%", 1e-9: "<0.001%", 1e-5: "0.001%", 0.12345: "12.3%", 0.9995: ">99.9%", 0.99949: "99.9%"} {
		require.Equal(t, want, shareText(share), "%v", share)
	}
}
