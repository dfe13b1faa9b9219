package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// measured is what testdata/measure.html finds about a page in a frame of a width.
type measured struct {
	Page       string
	Width      int
	Dark       bool
	Background string // of the page
	Texts      int    // elements that hold text
	Colours    int    // of texts
	Problems   []string
}

// browser is Chromium: $LEANLOOP_CHROMIUM, else what is in the path. Without one the test is skipped, unless
// LEANLOOP_REQUIRE_ALL=1 makes that a failure.
func browser(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starting a browser takes seconds")
	}
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}
	if name := os.Getenv("LEANLOOP_CHROMIUM"); name != "" {
		names = []string{name}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const say = "none of %s is here (LEANLOOP_CHROMIUM names another one)"
	if os.Getenv("LEANLOOP_REQUIRE_ALL") == "1" {
		t.Fatalf(say, strings.Join(names, ", "))
	}
	t.Skipf(say, strings.Join(names, ", "))
	return ""
}

// site serves pages, and the page that measures them, and notes what else is asked of it: every host leads to it.
type site struct {
	pages map[string][]byte
	sizes []int
	host  string

	mu         sync.Mutex
	unexpected []string
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page, ok := s.pages[strings.TrimPrefix(r.URL.Path, "/page/")]
	switch {
	case r.Host == s.host && ok:
		_, _ = w.Write(page)
	case r.Host == s.host && r.URL.Path == "/":
		_, _ = w.Write(s.measuring())
	case r.Host == s.host && r.URL.Path == "/favicon.ico": // a browser asks for it by itself
		http.NotFound(w, r)
	case strings.HasSuffix(r.Host, ".googleapis.com"), strings.HasSuffix(r.Host, ".google.com"): // Chromium's own: updates, the time
		http.NotFound(w, r)
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unexpected = append(s.unexpected, r.Host+r.URL.Path)
		http.NotFound(w, r)
	}
}

// measuring is the page with a frame for each page and width.
func (s *site) measuring() []byte {
	raw, err := os.ReadFile("testdata/measure.html")
	if err != nil {
		return []byte(err.Error())
	}
	var frames strings.Builder
	for name := range s.pages {
		for _, width := range s.sizes {
			fmt.Fprintf(&frames, `<iframe name="%s" src="/page/%s" width="%d"></iframe>`+"\n", html.EscapeString(name), html.EscapeString(name), width)
		}
	}
	return bytes.Replace(raw, []byte("<!-- FRAMES -->"), []byte(frames.String()), 1)
}

// measure opens the site in a browser that prefers dark or light, and gives what was measured, what was asked of any
// host beside the pages, and what the console said.
func measure(t *testing.T, chromium string, dark bool, pages map[string][]byte) (found []measured, requests, console []string) {
	t.Helper()
	s := &site{pages: pages, sizes: []int{320, 390, 768, 1440}}
	server := httptest.NewServer(s)
	defer server.Close()
	s.host = strings.TrimPrefix(server.URL, "http://")
	scheme := 1
	if dark {
		scheme = 0
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-breakpad", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--window-size=1440,1000", fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme),
		"--host-resolver-rules=MAP * "+s.host, "--enable-logging=stderr", "--timeout=90000", "--dump-dom", server.URL+"/")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &stdout, &stderr, 10*time.Second
	err := cmd.Run()
	endGroup(t, cmd)
	require.NoError(t, err, stderr.String())
	_, result, ok := strings.Cut(stdout.String(), `<pre id="result">`)
	require.True(t, ok, stdout.String())
	result, _, _ = strings.Cut(result, "</pre>")
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(result)), &found), result)
	for line := range strings.Lines(stderr.String()) {
		if strings.Contains(line, "CONSOLE") {
			console = append(console, line)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return found, s.unexpected, console
}

// endGroup waits until no process of the browser's is left: they write to its folder.
func endGroup(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if cmd.Process == nil {
		return
	}
	require.Eventually(t, func() bool { return errors.Is(syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL), syscall.ESRCH) },
		10*time.Second, 10*time.Millisecond, "processes of the browser stay")
}

func TestPagesFitInABrowser(t *testing.T) {
	chromium := browser(t)
	all := map[string][]byte{}
	for name, page := range pages(t, namesOf(12)) {
		all[strings.ReplaceAll(name, ", ", "-")] = page
	}
	for name, page := range pages(t, hostile) {
		all["hostile-"+strings.ReplaceAll(name, ", ", "-")] = page
	}
	for _, dark := range []bool{false, true} {
		t.Run(fmt.Sprintf("dark %v", dark), func(t *testing.T) {
			found, requests, console := measure(t, chromium, dark, all)
			require.Len(t, found, 4*len(all))
			for _, m := range found {
				name := fmt.Sprintf("%s, %d px", m.Page, m.Width)
				assert.Empty(t, m.Problems, name)
				assert.Equal(t, dark, m.Dark, name)
				assert.Equal(t, map[bool]string{false: "rgb(245, 246, 248)", true: "rgb(14, 19, 25)"}[dark], m.Background, "%s: the policy lets its style through", name)
				assert.Greater(t, m.Texts, 30, name)
				assert.GreaterOrEqual(t, m.Colours, 2, name)
			}
			assert.Empty(t, requests, "a page asked for something")
			assert.Empty(t, console)
		})
	}
}

// The check itself can fail: a page with every fault that it looks for.
func TestTheBrowserCheckFindsFaults(t *testing.T) {
	chromium := browser(t)
	page := `<!DOCTYPE html><title>faulty</title><style>body{background:#fff}</style>
<p style="color:#999">pale</p><p style="width:2000px">wide</p><script>console.error("at fault")</script><img src="http://elsewhere.example/x.png">`
	found, requests, console := measure(t, chromium, false, map[string][]byte{"faulty": []byte(page)})
	require.NotEmpty(t, found)
	said := strings.Join(found[0].Problems, "\n")
	assert.Contains(t, said, "the page is 20")
	assert.Contains(t, said, "wide")
	assert.Contains(t, said, "contrast of 2.8")
	assert.True(t, slices.Contains(requests, "elsewhere.example/x.png"), "%v", requests)
	assert.Contains(t, strings.Join(console, ""), "at fault")
}
