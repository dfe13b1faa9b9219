package spec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWhatARunAsksForIsBounded(t *testing.T) {
	for src, want := range map[string]string{
		"{command: [a], resources: {gpus: 17}}":                          "train.resources.gpus: 17 isn't within 0 and 16",
		"{builtin: trees, resources: {gpus: 1}}":                         "train.resources.gpus: a built-in trainer uses no GPU (leave it out)",
		"{command: [a], resources: {disk: 100}}":                         "train.resources.disk: 100 < 1Mi",
		"{resources: {disk: 10Gi}}":                                      "train.resources.disk: bounds what train.command writes",
		"{command: [a], resources: {gpu_memory: 40Gi}}":                  "train.resources.gpu_memory: needs train.resources.gpus (gpus: 1)",
		"{command: [a], resources: {gpus: 1, gpu_memory: 1000Gi}}":       "train.resources.gpu_memory: 1000Gi > 288Gi",
		"{resources: {labels: [Spot]}}":                                  `train.resources.labels[0]: "Spot" isn't a label (lower-case letters`,
		"{resources: {labels: [a+b]}}":                                   `"a+b" isn't a label`,
		"{resources: {labels: [" + strings.Repeat("x", 25) + "]}}":       "isn't a label",
		"{resources: {labels: [spot, spot]}}":                            `train.resources.labels[1]: "spot" is listed twice`,
		"{resources: {labels: [a, b, c, d, e]}}":                         "train.resources.labels: 5 labels > 4",
		"{priority: 6}":                                                  "train.priority: 6 isn't within 1, the first, and 5",
		"{command: [a], resources: {gpus: 2, gpu_memry: 40Gi}}":          `unknown field "gpu_memry" (did you mean "gpu_memory"`,
		"{command: [a], secrets: [CUDA_VISIBLE_DEVICES], builtin: \"\"}": "CUDA_VISIBLE_DEVICES is set by the trainer contract",
	} {
		_, err := Parse("x", withField("train: "+src+"\n"))
		require.ErrorContains(t, err, want, src)
	}
	m, err := Parse("x", withField("train: {command: [a], priority: 1, resources: {gpus: 2, gpu_memory: 40Gi, labels: [spot, eu]}}\n"))
	require.NoError(t, err)
	require.Equal(t, "2 GPUs of 40Gi, labels eu+spot", m.Train.Resources.Needs())
	require.Equal(t, 1, m.Train.Priority)
	require.Equal(t, "a slot without GPU", Resources{}.Needs())
	require.Equal(t, "1 GPU", Resources{GPUs: 1}.Needs())
}

func TestMemoryIsRoundedUpToAClassThatSuchAGPUServes(t *testing.T) {
	for _, c := range []struct{ asked, class Bytes }{{0, 0}, {1, 8 << 30}, {8 << 30, 8 << 30}, {8<<30 + 1, 12 << 30}, {40 << 30, 40 << 30}, {41 << 30, 48 << 30}, {288 << 30, 288 << 30}} {
		require.Equal(t, c.class, Resources{GPUs: 1, GPUMemory: c.asked}.MemoryClass(), c.asked)
	}
	require.Zero(t, Resources{GPUMemory: 8 << 30}.MemoryClass(), "without a GPU there is none")
	// What nvidia-smi reports, in MiB, and the class that such a GPU is sold by.
	for reported, sold := range map[int64]Bytes{81920: 80, 81559: 80, 40536: 40, 24564: 24, 23028: 24, 15360: 16, 46068: 48, 97871: 96, 143771: 128} {
		classes := MemoryClasses(reported << 20)
		require.Equal(t, sold<<30, classes[len(classes)-1], "%d MiB", reported)
		require.LessOrEqual(t, LeastMemory(sold<<30), reported<<20)
	}
	require.Empty(t, MemoryClasses(0), "a GPU of which nothing is known serves no class")
	rapid.Check(t, func(t *rapid.T) {
		asked := Bytes(rapid.Int64Range(1, 288<<30).Draw(t, "asked"))
		if class := (Resources{GPUs: 1, GPUMemory: asked}).MemoryClass(); class < asked {
			t.Fatal(fmt.Errorf("class %s < %s", class, asked))
		}
	})
}

func TestALabelSetIsTheSameInAnyOrder(t *testing.T) {
	require.Equal(t, "a+b-1", Resources{Labels: []string{"b-1", "a"}}.LabelSet())
	require.Empty(t, Resources{}.LabelSet())
}

func TestARunOnTwoGPUsCostsTwoSlots(t *testing.T) {
	for gpus, want := range map[int]float64{0: 3, 1: 3, 2: 6} {
		m := &Model{Budget: Budget{PerHour: 3}, Train: Train{Resources: Resources{GPUs: gpus}}}
		require.Equal(t, want, m.HourlyCost())
	}
}
