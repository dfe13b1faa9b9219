package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Bounds of what one training run may ask for: each kind of requirement is a task queue of its own.
const (
	MaxGPUs   = 16 // of one run, on one machine
	MaxLabels = 4
	// Priorities are 1, the first, to LowestPriority; DefaultPriority is in their middle.
	LowestPriority  = 5
	DefaultPriority = 3
)

// LabelForm is what a label looks like, for messages: it becomes a part of a task queue's name.
const LabelForm = "lower-case letters and digits, at most 24, and dashes between them"

var labelForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// CheckLabel says what is wrong with a label.
func CheckLabel(label string) error {
	if !labelForm.MatchString(label) || len(label) > 24 {
		return fmt.Errorf("%q isn't a label: want %s", label, LabelForm)
	}
	return nil
}

// memoryClasses are the sizes of GPUs, in GiB, that requirements are rounded up to, so that there are few queues.
func memoryClasses() []Bytes {
	var classes []Bytes
	for _, gib := range []int64{8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 128, 192, 288} {
		classes = append(classes, Bytes(gib<<30))
	}
	return classes
}

// spare is the part of a GPU's memory that its driver may keep, or error correction take: one that is sold with 24 GB reports 22.5 GiB.
const spare = 0.07

// HourlyCost is what an hour of one training costs, of all the slots that it takes, in the budget's currency.
func (m *Model) HourlyCost() float64 {
	return m.Budget.PerHour * float64(max(1, m.Train.Resources.GPUs))
}

// MemoryClasses are the classes that a GPU of so much reported memory serves, ascending; none where it isn't known.
func MemoryClasses(memory int64) []Bytes {
	return slices.DeleteFunc(memoryClasses(), func(c Bytes) bool { return float64(c)*(1-spare) > float64(memory) })
}

// LeastMemory is what a GPU must report to serve a class, in bytes.
func LeastMemory(class Bytes) int64 { return int64(float64(class) * (1 - spare)) }

// MemoryClass is the smallest class with so much memory for each GPU; 0: any.
func (r Resources) MemoryClass() Bytes {
	if r.GPUs == 0 || r.GPUMemory <= 0 {
		return 0
	}
	for _, c := range memoryClasses() {
		if c >= r.GPUMemory {
			return c
		}
	}
	return r.GPUMemory
}

// LabelSet is the labels as one name: sorted, joined by a plus; "" for none.
func (r Resources) LabelSet() string {
	labels := slices.Clone(r.Labels)
	slices.Sort(labels)
	return strings.Join(slices.Compact(labels), "+")
}

// Needs says in words what a worker must have.
func (r Resources) Needs() string {
	text := "a slot without GPU"
	if r.GPUs > 0 {
		text = fmt.Sprintf("%d GPU", r.GPUs)
		if r.GPUs > 1 {
			text += "s"
		}
		if class := r.MemoryClass(); class > 0 {
			text += " of " + class.String()
		}
	}
	if set := r.LabelSet(); set != "" {
		text += ", labels " + set
	}
	return text
}

// gpus checks what a run asks of its worker.
func (c *checker) gpus(t Train) {
	r := t.Resources
	c.must(r.GPUs >= 0 && r.GPUs <= MaxGPUs, "train.resources.gpus", "%d isn't within 0 and %d, those of one machine", r.GPUs, MaxGPUs)
	c.must(r.GPUs <= 0 || len(t.Command) > 0, "train.resources.gpus", "a built-in trainer uses no GPU | leave it out")
	c.must(r.GPUMemory >= 0, "train.resources.gpu_memory", "%d < 0", int64(r.GPUMemory))
	c.must(r.GPUMemory <= 0 || r.GPUs > 0, "train.resources.gpu_memory", "needs train.resources.gpus | gpus: 1")
	classes := memoryClasses()
	c.must(r.GPUMemory <= classes[len(classes)-1], "train.resources.gpu_memory", "%s > %s, of one GPU", r.GPUMemory, classes[len(classes)-1])
	c.must(len(r.Labels) <= MaxLabels, "train.resources.labels", "%d labels > %d", len(r.Labels), MaxLabels)
	for i, label := range r.Labels {
		path := fmt.Sprintf("train.resources.labels[%d]", i)
		if CheckLabel(label) != nil {
			c.fail(path, "%q isn't a label | %s", label, LabelForm)
		}
		c.must(!slices.Contains(r.Labels[:i], label), path, "%q is listed twice", label)
	}
	c.must(t.Priority >= 0 && t.Priority <= LowestPriority, "train.priority", "%d isn't within 1, the first, and %d", t.Priority, LowestPriority)
}
