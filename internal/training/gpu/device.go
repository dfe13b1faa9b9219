// Package gpu finds the GPUs of a machine and measures how busy they are, by the nvidia-smi program: its driver's own
// tool, which is there wherever a GPU can be used. A library would have to be linked by C.
//
// What the program prints is parsed strictly: a line that isn't what was asked for is an error, never a GPU less. It is
// asked, never told: nothing here changes a GPU.
package gpu

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Device is one GPU, or one MIG instance of it, as trainers are given it: one each.
type Device struct {
	ID     string `json:"id"`               // what CUDA_VISIBLE_DEVICES names it: its UUID, or its index where nothing else is known
	Index  int    `json:"index"`            // nvidia-smi's; of the GPU for an instance
	Name   string `json:"name,omitempty"`   // such as NVIDIA A100-SXM4-80GB
	Memory int64  `json:"memory,omitempty"` // bytes; 0: not known
	MIG    bool   `json:"mig,omitempty"`    // an instance, whose utilisation nobody measures
}

// Selection is which GPUs of a machine a worker takes.
type Selection struct {
	Auto    bool     // all that are found; none are found where there is no nvidia-smi, or it knows of none
	Count   int      // the first so many
	Devices []string // these, by index or UUID
}

// ParseSelection reads auto, none, a count, or device=ID,ID... where an ID is an index or a UUID.
func ParseSelection(text string) (Selection, error) {
	const want = "want auto, none, a count such as 2, or device=0,2 with indices or UUIDs"
	ids, listed := strings.CutPrefix(text, "device=")
	switch {
	case text == "auto":
		return Selection{Auto: true}, nil
	case text == "none":
		return Selection{}, nil
	case listed:
		s := Selection{Devices: strings.Split(ids, ",")}
		for i, id := range s.Devices {
			if !isIndex(id) && !isUUID(id) {
				return Selection{}, fmt.Errorf("GPU %q: neither an index nor a UUID (GPU-... or MIG-...): %s", id, want)
			}
			if slices.Contains(s.Devices[:i], id) {
				return Selection{}, fmt.Errorf("GPU %q is listed twice", id)
			}
		}
		return s, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > MaxDevices {
		return Selection{}, fmt.Errorf("GPUs %q: %s (at most %d)", text, want, MaxDevices)
	}
	return Selection{Count: n}, nil
}

// MaxDevices bounds the GPUs of one machine.
const MaxDevices = 128

// None says that no GPU is wanted, so nothing need be asked.
func (s Selection) None() bool { return !s.Auto && s.Count == 0 && len(s.Devices) == 0 }

// Of picks from the machine's devices. What is asked for by name or number and isn't there is an error.
func (s Selection) Of(found []Device) ([]Device, error) {
	switch {
	case s.Auto:
		return found, nil
	case len(s.Devices) > 0:
		var out []Device
		for _, id := range s.Devices {
			i := slices.IndexFunc(found, func(d Device) bool { return d.ID == id || !d.MIG && strconv.Itoa(d.Index) == id })
			if i < 0 {
				return nil, fmt.Errorf("GPU %s: not found; there is %s", id, list(found))
			}
			if slices.Contains(out, found[i]) {
				return nil, fmt.Errorf("GPU %s is named twice, by index and UUID", id)
			}
			out = append(out, found[i])
		}
		return out, nil
	case s.Count > len(found):
		return nil, fmt.Errorf("%d GPUs: %d found: %s", s.Count, len(found), list(found))
	}
	return found[:s.Count], nil
}

// Unseen are the devices of a selection as the operator names them, where no nvidia-smi can be asked: taken at their
// word, with nothing known of them.
func (s Selection) Unseen() []Device {
	var out []Device
	for _, id := range s.Devices {
		index, err := strconv.Atoi(id)
		if err != nil {
			index = len(out)
		}
		out = append(out, Device{ID: id, Index: index})
	}
	for i := range s.Count {
		out = append(out, Device{ID: strconv.Itoa(i), Index: i})
	}
	return out
}

func list(devices []Device) string {
	if len(devices) == 0 {
		return "none"
	}
	names := make([]string, len(devices))
	for i, d := range devices {
		names[i] = fmt.Sprintf("%d (%s)", d.Index, d.ID)
	}
	return strings.Join(names, ", ")
}

// IDs are what CUDA_VISIBLE_DEVICES lists.
func IDs(devices []Device) []string {
	ids := make([]string, len(devices))
	for i, d := range devices {
		ids[i] = d.ID
	}
	return ids
}

func isIndex(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= 0 && n < MaxDevices && strconv.Itoa(n) == text
}

// isUUID knows GPU-<hex and dashes>, MIG-<the same>, and the older MIG-GPU-<the same>/<instance>/<instance>. Nothing else
// gets into an environment or the name of a file.
func isUUID(text string) bool {
	rest, mig := strings.CutPrefix(text, "MIG-")
	rest, whole := strings.CutPrefix(rest, "GPU-")
	if !mig && !whole || len(rest) < 8 || len(rest) > 64 {
		return false
	}
	return !strings.ContainsFunc(rest, func(r rune) bool {
		hex := r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r == '-'
		return !hex && !(mig && whole && r == '/')
	})
}
