package training

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
)

const (
	tailLines   = 50       // lines kept for errors
	tailLine    = 2 << 10  // bytes kept of each
	longestLine = 64 << 10 // bytes of a line that may be progress; longer ones pass to the log in pieces
	mostMetrics = 100      // of one progress line
	metricName  = 100      // bytes of a metric's name; longer ones are left out

	// mostLog is how much of a program's output is kept. A loop that prints could fill the worker's disk in a minute, and
	// the log is uploaded whole; what counts at the end is in the tail.
	mostLog = 64 << 20
	logCut  = "leanloop: the log is cut here, at 64 MiB; the last lines are in the run's error\n"
)

// programLog takes what the program prints. It is safe for concurrent use.
type programLog struct {
	mutex  sync.Mutex
	to     io.Writer // nil after it failed, or was given mostLog: a full log disk doesn't end a training
	room   int       // bytes that to still takes
	tail   []string
	hidden hidden // the program's secrets
	report func(Progress)
	last   Progress
}

func newProgramLog(to io.Writer, secrets map[string]string, report func(Progress)) *programLog {
	if report == nil {
		report = func(Progress) {}
	}
	return &programLog{to: to, room: mostLog, hidden: hide(secrets), report: report}
}

// read takes one of the program's streams to its end. progress says whether lines of it may be progress.
func (l *programLog) read(stream io.Reader, progress bool) {
	in := bufio.NewReaderSize(stream, longestLine)
	start := true // of a line
	for {
		line, err := in.ReadSlice('\n')
		if len(line) > 0 {
			whole := start && !errors.Is(err, bufio.ErrBufferFull)
			l.line(line, start, progress && whole)
			start = line[len(line)-1] == '\n'
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// line takes a line, or a piece of a long one.
func (l *programLog) line(line []byte, start, mayBeProgress bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	line = l.hidden.in(line)
	if mayBeProgress {
		if p, ok := parseProgress(line); ok {
			l.last = p
			l.report(p)
			return
		}
	}
	l.write(line)
	if text := bytes.TrimRight(line, "\r\n"); start && len(bytes.TrimSpace(text)) > 0 {
		l.keep(text)
	}
}

func (l *programLog) write(line []byte) {
	if l.to == nil {
		return
	}
	cut := len(line) > l.room
	if cut {
		line = []byte(logCut)
	}
	l.room -= len(line)
	if _, err := l.to.Write(line); err != nil || cut {
		l.to = nil
	}
}

// keep keeps the text of a line for errors, which travel as text: what isn't UTF-8 is replaced.
func (l *programLog) keep(text []byte) {
	kept := strings.ToValidUTF8(string(text[:min(len(text), tailLine)]), "\uFFFD")
	if len(text) > tailLine {
		kept += fmt.Sprintf("... (%d bytes or more)", len(text))
	}
	if len(l.tail) == tailLines {
		l.tail = append(l.tail[:0], l.tail[1:]...)
	}
	l.tail = append(l.tail, kept)
}

// lines gives a copy of the last lines.
func (l *programLog) lines() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return append([]string(nil), l.tail...)
}

// steps gives the last reported step.
func (l *programLog) steps() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.last.Step
}

// parseProgress reads a line of progress: a JSON object with a step (under step, epoch, round or iteration), metrics,
// or both; total, where given, is how many steps there will be. Metrics may be NaN or infinite, as Python prints them.
func parseProgress(line []byte) (Progress, bool) {
	line = bytes.TrimSpace(line)
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' {
		return Progress{}, false
	}
	var fields struct {
		Step, Epoch, Round, Iteration *float64
		Total                         float64
		Metrics                       map[string]any
	}
	if json.Unmarshal(quoteNaN(line), &fields) != nil {
		return Progress{}, false
	}
	p := Progress{Total: wholeNumber(fields.Total)}
	found := fields.Metrics != nil
	for _, step := range []*float64{fields.Step, fields.Epoch, fields.Round, fields.Iteration} {
		if step != nil {
			p.Step, found = wholeNumber(*step), true
			break
		}
	}
	for name, value := range fields.Metrics {
		if number, ok := metricValue(value); ok && len(p.Metrics) < mostMetrics && len(name) <= metricName {
			if p.Metrics == nil {
				p.Metrics = map[string]float64{}
			}
			p.Metrics[name] = number
		}
	}
	return p, found
}

func wholeNumber(v float64) int {
	if v >= 0 && v <= math.MaxInt32 {
		return int(v)
	}
	return 0
}

func metricValue(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, true
	case string:
		switch v {
		case "NaN":
			return math.NaN(), true
		case "Infinity":
			return math.Inf(1), true
		case "-Infinity":
			return math.Inf(-1), true
		}
	}
	return 0, false
}

// quoteNaN puts the bare NaN, Infinity and -Infinity that many JSON writers print into quotes.
func quoteNaN(line []byte) []byte {
	if !bytes.Contains(line, []byte("NaN")) && !bytes.Contains(line, []byte("Infinity")) {
		return line
	}
	var out []byte
	inside := false
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c == '"' {
			inside = !inside
		}
		if inside && c == '\\' && i+1 < len(line) {
			out = append(out, c, line[i+1])
			i++
			continue
		}
		token := ""
		for _, t := range []string{"NaN", "-Infinity", "Infinity"} {
			if !inside && bytes.HasPrefix(line[i:], []byte(t)) {
				token = t
				break
			}
		}
		if token == "" {
			out = append(out, c)
			continue
		}
		out = append(append(append(out, '"'), token...), '"')
		i += len(token) - 1
	}
	return out
}
