package gpu

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// LowUtilisation is the percentage below which a GPU waits more than it should: for the program that feeds it.
	LowUtilisation = 70.0
	// SampleEvery is the time between two samples.
	SampleEvery = 10 * time.Second
	// windowSamples are five minutes: shorter lows are an epoch's end or a checkpoint.
	windowSamples = 30
	// fewestSamples are what a run that is shorter than a window is judged by: a minute, after which it has warmed up.
	fewestSamples = 6
)

// Usage is how busy the GPUs of one training were. It is safe for concurrent use.
type Usage struct {
	mu      sync.Mutex
	samples int
	sum     float64
	peak    int64
	window  []float64 // the newest means over the training's GPUs
	low     string
}

// Use is a Usage's summary.
type Use struct {
	Samples     int     `json:"samples"`
	Utilisation float64 `json:"utilisation"` // mean over time and GPUs, percent
	PeakMemory  int64   `json:"peak_memory"` // bytes, of the fullest GPU
}

// Add takes one look at all GPUs of the training. It gives a sentence the first time that a whole window stayed low.
func (u *Usage) Add(look []Sample) (low string) {
	if len(look) == 0 {
		return ""
	}
	mean := 0.0
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, s := range look {
		mean += s.Utilisation / float64(len(look))
		u.peak = max(u.peak, s.Used)
	}
	u.samples++
	u.sum += mean
	u.window = append(u.window, mean)
	if len(u.window) > windowSamples {
		u.window = slices.Delete(u.window, 0, 1)
	}
	if u.low == "" && len(u.window) == windowSamples {
		u.low = verdict(u.window)
		return u.low
	}
	return ""
}

// Low is what Add gave; of a training that was shorter than a window, the verdict over all of it. "": busy enough, or
// too short to say.
func (u *Usage) Low() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.low == "" && u.samples < windowSamples && u.samples >= fewestSamples {
		return verdict(u.window)
	}
	return u.low
}

// Use sums up; nil without a sample.
func (u *Usage) Use() *Use {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.samples == 0 {
		return nil
	}
	return &Use{Samples: u.samples, Utilisation: u.sum / float64(u.samples), PeakMemory: u.peak}
}

// verdict judges the mean over a time: single samples of a busy GPU are low now and then.
func verdict(means []float64) string {
	mean := 0.0
	for _, m := range means {
		mean += m / float64(len(means))
	}
	if mean >= LowUtilisation {
		return ""
	}
	return fmt.Sprintf("GPU utilisation %.0f %% < %.0f %% over %s: the data loader is the bottleneck (more workers, larger batches or a cache feed the GPU; a smaller one costs less)",
		mean, LowUtilisation, time.Duration(len(means))*SampleEvery)
}
