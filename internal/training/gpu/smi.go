package gpu

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	defaultProgram = "nvidia-smi"
	// defaultTimeout is how long the program may take: it loads the driver where nothing else holds it, which takes
	// seconds for each GPU.
	defaultTimeout = 20 * time.Second
	// mostOutput bounds what is read of it, in bytes.
	mostOutput = 1 << 20
	mib        = 1 << 20
)

// SMI asks nvidia-smi. Its zero value finds the program on the PATH.
type SMI struct {
	Program string        // "": nvidia-smi
	Timeout time.Duration // of one question; 0: 20 s
}

// ErrNoProgram says that there is no nvidia-smi: as a rule, that the machine has no GPU.
var ErrNoProgram = errors.New("no nvidia-smi on the PATH")

// Sample is how busy one GPU was just then.
type Sample struct {
	ID          string
	Utilisation float64 // percent of the last sampling period in which anything ran on it, 0 to 100
	Used, Total int64   // bytes of memory
}

// Devices are the machine's GPUs by index; of one that is split into MIG instances, those instead of it. It is
// ErrNoProgram where there is none, and no error where there is one that finds no GPU.
func (s SMI) Devices(ctx context.Context) ([]Device, error) {
	out, err := s.ask(ctx, "--query-gpu=index,uuid,name,memory.total,mig.mode.current", "--format=csv,noheader,nounits")
	if err != nil {
		return nil, err
	}
	devices, split, err := parseDevices(out)
	if err != nil || len(split) == 0 {
		return devices, err
	}
	listed, err := s.ask(ctx, "-L")
	if err != nil {
		return nil, err
	}
	return withInstances(devices, split, listed)
}

// Samples measures devices; instances of a split GPU can't be, and are left out.
func (s SMI) Samples(ctx context.Context, devices []Device) ([]Sample, error) {
	var ids []string
	for _, d := range devices {
		if !d.MIG {
			ids = append(ids, d.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	out, err := s.ask(ctx, "--id="+strings.Join(ids, ","), "--query-gpu=uuid,utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")
	if err != nil {
		return nil, err
	}
	return parseSamples(out)
}

// ask runs the program and gives what it printed. It is given no longer than the timeout, whatever it does.
func (s SMI) ask(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout))
	defer cancel()
	c := exec.CommandContext(ctx, cmp.Or(s.Program, defaultProgram), args...)
	out, trouble := &limited{most: mostOutput}, &limited{most: 1 << 10}
	c.Stdout, c.Stderr = out, trouble
	c.WaitDelay = time.Second // something that it started may hold its output open
	err := c.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, ErrNoProgram
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: no answer within %s: %w", c.Path, cmp.Or(s.Timeout, defaultTimeout), ctx.Err())
	case out.over:
		return nil, fmt.Errorf("%s: more than %d bytes of output", c.Path, mostOutput)
	case noDevices(out.kept.Bytes()):
		return nil, nil // whatever its exit code, which is another by version
	case err != nil:
		said := strings.Join(strings.Fields(trouble.kept.String()+" "+out.kept.String()), " ")
		return nil, fmt.Errorf("%s: %w: %s", c.Path, err, said[:min(len(said), 300)])
	}
	return out.kept.Bytes(), nil
}

// noDevices knows how the program says that it finds none.
func noDevices(out []byte) bool {
	return strings.TrimRight(strings.TrimSpace(string(out)), ".") == "No devices were found"
}

// limited keeps the first bytes that are written to it, and says when there were more.
type limited struct {
	kept bytes.Buffer // not embedded: its ReadFrom would take everything
	most int
	over bool
}

// Write never fails: a program whose pipe breaks would say so instead of what is wrong.
func (l *limited) Write(p []byte) (int, error) {
	keep := min(len(p), l.most-l.kept.Len())
	l.over = l.over || keep < len(p)
	_, _ = l.kept.Write(p[:keep])
	return len(p), nil
}

// parseDevices reads what Devices asks for. split are the positions of those that are split into instances.
func parseDevices(out []byte) (devices []Device, split map[int]bool, err error) {
	rows, err := table(out, 5)
	if err != nil {
		return nil, nil, err
	}
	split = map[int]bool{}
	seen := map[string]bool{}
	for i, row := range rows {
		d := Device{ID: row[1], Name: row[2]}
		if d.Index, err = strconv.Atoi(row[0]); err != nil || d.Index < 0 || d.Index >= MaxDevices {
			return nil, nil, bad(i, row, "an index")
		}
		if !isUUID(d.ID) || seen[d.ID] {
			return nil, nil, bad(i, row, "a UUID of its own")
		}
		seen[d.ID] = true
		if unknown(row[3]) { // a GPU that shares the machine's memory
			d.Memory = 0
		} else if d.Memory, err = mebibytes(row[3]); err != nil {
			return nil, nil, bad(i, row, "its memory in MiB")
		}
		switch {
		case row[4] == "Enabled":
			split[len(devices)] = true
		case row[4] != "Disabled" && !unknown(row[4]):
			return nil, nil, bad(i, row, "Enabled, Disabled or [N/A] for MIG")
		}
		devices = append(devices, d)
	}
	return devices, split, nil
}

// parseSamples reads what Samples asks for. A GPU that measures nothing (some say [N/A]) is left out.
func parseSamples(out []byte) ([]Sample, error) {
	rows, err := table(out, 4)
	if err != nil {
		return nil, err
	}
	var samples []Sample
	for i, row := range rows {
		if unknown(row[1]) {
			continue
		}
		s := Sample{ID: row[0]}
		if !isUUID(s.ID) {
			return nil, bad(i, row, "a UUID")
		}
		percent, err := strconv.Atoi(row[1])
		if err != nil || percent < 0 || percent > 100 {
			return nil, bad(i, row, "a utilisation of 0 to 100")
		}
		s.Utilisation = float64(percent)
		if !unknown(row[2]) && !unknown(row[3]) {
			var errs [2]error
			s.Used, errs[0] = mebibytes(row[2])
			s.Total, errs[1] = mebibytes(row[3])
			if errs[0] != nil || errs[1] != nil || s.Used > s.Total {
				return nil, bad(i, row, "used and total memory in MiB")
			}
		}
		samples = append(samples, s)
	}
	return samples, nil
}

// table reads CSV as nvidia-smi writes it, with a space behind each comma.
func table(out []byte, columns int) ([][]string, error) {
	r := csv.NewReader(bytes.NewReader(out))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.LazyQuotes = columns, true, true
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("nvidia-smi: output: %w", err)
	}
	if len(rows) > MaxDevices {
		return nil, fmt.Errorf("nvidia-smi: output: %d GPUs > %d", len(rows), MaxDevices)
	}
	for _, row := range rows {
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
	}
	return rows, nil
}

func bad(row int, fields []string, want string) error {
	return fmt.Errorf("nvidia-smi: line %d: observed %.200q, want %s", row+1, strings.Join(fields, ", "), want)
}

// unknown is how the program writes what a GPU doesn't have or tell.
func unknown(field string) bool {
	switch field {
	case "[N/A]", "N/A", "[Not Supported]", "[Unknown Error]", "[Insufficient Permissions]":
		return true
	}
	return false
}

func mebibytes(field string) (int64, error) {
	n, err := strconv.ParseInt(field, 10, 64)
	if err != nil || n < 0 || n > 1<<30 {
		return 0, fmt.Errorf("%q MiB", field)
	}
	return n * mib, nil
}

// Lines of nvidia-smi -L: a GPU, then its instances, indented.
var (
	wholeLine    = regexp.MustCompile(`^GPU [0-9]+: .*\(UUID: ([^)]+)\)$`)
	instanceLine = regexp.MustCompile(`^\s+MIG (\S+)\s+Device\s+[0-9]+: \(UUID: ([^)]+)\)$`)
	profile      = regexp.MustCompile(`(?:^|\.)([0-9]+)gb(?:$|[+.])`)
)

// withInstances puts the instances of split GPUs in their place. A GPU that is to be split and isn't yet can't be used:
// it gives none.
func withInstances(devices []Device, split map[int]bool, listed []byte) ([]Device, error) {
	instances := map[string][]Device{} // by the GPU's UUID
	of := ""
	for line := range strings.Lines(string(listed)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		if m := wholeLine.FindStringSubmatch(line); m != nil {
			of = m[1]
			continue
		}
		m := instanceLine.FindStringSubmatch(line)
		if m == nil || of == "" || !isUUID(m[2]) {
			return nil, fmt.Errorf("nvidia-smi -L: observed %.200q, want a GPU or a MIG instance with its UUID", line)
		}
		d := Device{ID: m[2], Name: "MIG " + m[1], MIG: true}
		if size := profile.FindStringSubmatch(m[1]); size != nil {
			gb, _ := strconv.ParseInt(size[1], 10, 32) // digits; a wrong size is none
			d.Memory = gb << 30
		}
		instances[of] = append(instances[of], d)
	}
	var out []Device
	for i, d := range devices {
		if !split[i] {
			out = append(out, d)
			continue
		}
		for _, instance := range instances[d.ID] {
			instance.Index = d.Index
			out = append(out, instance)
		}
	}
	return out, nil
}
