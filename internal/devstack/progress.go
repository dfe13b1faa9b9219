package devstack

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// progress reads what the go command says and turns it into a line every few
// seconds, so that minutes of compiling don't look like a hang.
type progress struct {
	log   io.Writer
	start time.Time
	quit  chan struct{}
	ended chan struct{}

	mu         sync.Mutex
	partial    []byte // of a line not ended yet
	downloaded int    // modules
	compiled   int    // packages
	total      int    // packages; 0 while unknown
	linking    bool   // the last package is compiled
	other      *tail  // lines that are neither: errors
}

func newProgress(log io.Writer, every time.Duration) *progress {
	p := &progress{
		log: log, start: time.Now(), other: newTail(),
		quit: make(chan struct{}), ended: make(chan struct{}),
	}
	go p.report(every)
	return p
}

// report writes a line at each tick until stop.
func (p *progress) report(every time.Duration) {
	defer close(p.ended)
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		select {
		case now := <-ticks.C:
			fmt.Fprintln(p.log, p.line(now.Sub(p.start)))
		case <-p.quit:
			return
		}
	}
}

func (p *progress) stop() {
	close(p.quit)
	<-p.ended
}

// expect tells how many packages the program has. Those compiled by earlier
// builds are in the count too, and are skipped over.
func (p *progress) expect(packages int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = packages
}

// line says how far it is.
func (p *progress) line(elapsed time.Duration) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := elapsed.Round(time.Second)
	switch {
	case p.total == 0 && p.downloaded == 0:
		return fmt.Sprintf("  %s: reading the list of packages", at)
	case p.total == 0:
		return fmt.Sprintf("  %s: %d modules downloaded", at, p.downloaded)
	case p.linking:
		return fmt.Sprintf("  %s: linking", at)
	case p.compiled == 0:
		return fmt.Sprintf("  %s: looking for what is compiled already", at)
	}
	return fmt.Sprintf("  %s: %d of at most %d packages compiled", at, p.compiled, p.total)
}

// run runs a go command and reads its progress. Its failure carries what it
// said.
func (p *progress) run(cmd *exec.Cmd) error {
	cmd.Stderr = p
	if err := cmd.Run(); err != nil {
		_, _ = p.Write([]byte("\n"))
		return fmt.Errorf("go %s: %w%s", cmd.Args[1], err, p.other.suffix())
	}
	return nil
}

// Write takes the go command's standard error; it never fails.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.partial = append(p.partial, b...)
	for {
		line, rest, found := bytes.Cut(p.partial, []byte("\n"))
		if !found {
			return len(b), nil
		}
		p.take(string(line))
		p.partial = append([]byte(nil), rest...)
	}
}

// take counts one line. `go build -v` prints the import path of each package
// as it is compiled; a path has no space, and errors have one or start "#".
func (p *progress) take(line string) {
	switch {
	case line == "":
	case strings.HasPrefix(line, "go: downloading "):
		p.downloaded++
	case !strings.ContainsAny(line, " \t#") && p.total > 0:
		p.compiled++
		p.linking = line == stackModule
	default:
		_, _ = p.other.Write([]byte(line + "\n"))
	}
}
