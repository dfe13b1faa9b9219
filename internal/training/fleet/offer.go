// Package fleet is which training workers there are, and what each can run: what a worker offers, the heartbeat in the
// bucket by which others know of it, and who could serve a run that waits.
package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training/gpu"
)

// MaxQueues bounds what one worker polls: every kind of run that it can serve is a task queue.
const MaxQueues = 512

// Offer is what a worker runs trainers on.
type Offer struct {
	CPUs int          `json:"cpus"` // runs without GPU at once
	GPUs []gpu.Device `json:"gpus,omitempty"`
	// Sets are the label sets that it serves, each as spec.Resources.LabelSet gives it.
	Sets []string `json:"sets,omitempty"`
	// Only says that it serves no run without labels.
	Only bool `json:"only,omitempty"`
}

// ParseSets reads label sets as an operator writes them: labels of one set are joined by a plus.
func ParseSets(texts []string) ([]string, error) {
	var sets []string
	for _, text := range texts {
		labels := strings.Split(text, "+")
		if len(labels) > spec.MaxLabels {
			return nil, fmt.Errorf("label set %q: %d labels > %d", text, len(labels), spec.MaxLabels)
		}
		for _, label := range labels {
			if err := spec.CheckLabel(label); err != nil {
				return nil, fmt.Errorf("label set %q: %w", text, err)
			}
		}
		set := (spec.Resources{Labels: labels}).LabelSet()
		if slices.Contains(sets, set) {
			return nil, fmt.Errorf("label set %q is listed twice", text)
		}
		sets = append(sets, set)
	}
	return sets, nil
}

// Validate says why nothing could be served.
func (o Offer) Validate() error {
	if o.Only && len(o.Sets) == 0 {
		return errors.New("only runs with labels are to be served, and no set of labels is")
	}
	if o.CPUs == 0 && len(o.GPUs) == 0 {
		return errors.New("neither a GPU nor a slot without one")
	}
	if n := len(o.Serves()); n > MaxQueues {
		return fmt.Errorf("%d kinds of runs > %d: fewer sets of labels, or fewer GPUs for each worker", n, MaxQueues)
	}
	return nil
}

// Serves lists every kind of run that the worker can serve, one for each task queue: numbers of GPUs, classes of memory
// and sets of labels.
func (o Offer) Serves() []spec.Resources {
	var kinds []spec.Resources
	if o.CPUs > 0 {
		kinds = append(kinds, spec.Resources{})
	}
	for n := 1; n <= min(len(o.GPUs), spec.MaxGPUs); n++ {
		kinds = append(kinds, spec.Resources{GPUs: n})
		for _, class := range spec.MemoryClasses(o.memoryOf(n)) {
			kinds = append(kinds, spec.Resources{GPUs: n, GPUMemory: class})
		}
	}
	var all []spec.Resources
	if !o.Only {
		all = kinds
	}
	for _, set := range o.Sets {
		for _, k := range kinds {
			k.Labels = strings.Split(set, "+")
			all = append(all, k)
		}
	}
	return all
}

// memoryOf is what each of the n largest GPUs has at least.
func (o Offer) memoryOf(n int) int64 {
	sizes := make([]int64, len(o.GPUs))
	for i, d := range o.GPUs {
		sizes[i] = d.Memory
	}
	slices.Sort(sizes)
	return sizes[len(sizes)-n]
}

// Can says whether the worker can serve a run, once it is free.
func (o Offer) Can(r spec.Resources) bool {
	set := r.LabelSet()
	if set == "" && o.Only || set != "" && !slices.Contains(o.Sets, set) {
		return false
	}
	if r.GPUs == 0 {
		return o.CPUs > 0
	}
	return r.GPUs <= len(o.GPUs) && o.memoryOf(r.GPUs) >= spec.LeastMemory(r.MemoryClass())
}

// String says in words what it offers, such as "2 GPUs of 16Gi, 1 slot without GPU; labels spot".
func (o Offer) String() string {
	parts := o.groups()
	switch {
	case o.CPUs == 1:
		parts = append(parts, "1 slot without GPU")
	case o.CPUs > 1:
		parts = append(parts, fmt.Sprintf("%d slots without GPU", o.CPUs))
	}
	text := strings.Join(parts, ", ")
	if len(o.Sets) > 0 {
		text += "; labels " + strings.Join(o.Sets, ", ")
		if o.Only {
			text += " only"
		}
	}
	return text
}

// groups counts GPUs of one size together.
func (o Offer) groups() []string {
	var sizes []spec.Bytes
	count := map[spec.Bytes]int{}
	for _, d := range o.GPUs {
		var size spec.Bytes
		if classes := spec.MemoryClasses(d.Memory); len(classes) > 0 {
			size = classes[len(classes)-1]
		}
		if count[size]++; count[size] == 1 {
			sizes = append(sizes, size)
		}
	}
	out := make([]string, len(sizes))
	for i, size := range sizes {
		out[i] = spec.Resources{GPUs: count[size]}.Needs()
		if size > 0 {
			out[i] += " of " + size.String()
		}
	}
	return out
}
