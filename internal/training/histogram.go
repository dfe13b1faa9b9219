package training

import "sync"

// gradient is the loss's first and second derivative of one row.
type gradient struct{ g, h float32 }

// sums are gradients added up.
type sums struct{ g, h float64 }

func (a sums) plus(b sums) sums  { return sums{a.g + b.g, a.h + b.h} }
func (a sums) minus(b sums) sums { return sums{a.g - b.g, a.h - b.h} }

// blockHistogram holds the sums by bin of the eight features of a block. 32 KiB: it fits a first-level cache.
type blockHistogram [blockFeatures][256]sums

// histogram holds a node's sums: one block per block of the data.
type histogram []blockHistogram

// add accumulates rows into the histogram of a block.
func (h *blockHistogram) add(words []uint64, rows []int32, gradients []gradient) {
	for _, row := range rows {
		w := words[row]
		g, hess := float64(gradients[row].g), float64(gradients[row].h)
		s := &h[0][uint8(w)]
		s.g += g
		s.h += hess
		s = &h[1][uint8(w>>8)]
		s.g += g
		s.h += hess
		s = &h[2][uint8(w>>16)]
		s.g += g
		s.h += hess
		s = &h[3][uint8(w>>24)]
		s.g += g
		s.h += hess
		s = &h[4][uint8(w>>32)]
		s.g += g
		s.h += hess
		s = &h[5][uint8(w>>40)]
		s.g += g
		s.h += hess
		s = &h[6][uint8(w>>48)]
		s.g += g
		s.h += hess
		s = &h[7][uint8(w>>56)]
		s.g += g
		s.h += hess
	}
}

// addFour is add where only the first four features are of interest.
func (h *blockHistogram) addFour(words []uint64, rows []int32, gradients []gradient) {
	for _, row := range rows {
		w := uint32(words[row])
		g, hess := float64(gradients[row].g), float64(gradients[row].h)
		s := &h[0][uint8(w)]
		s.g += g
		s.h += hess
		s = &h[1][uint8(w>>8)]
		s.g += g
		s.h += hess
		s = &h[2][uint8(w>>16)]
		s.g += g
		s.h += hess
		s = &h[3][uint8(w>>24)]
		s.g += g
		s.h += hess
	}
}

// parallel runs n tasks on at most threads goroutines. Tasks must not share what they write, so that the result
// doesn't depend on threads.
func parallel(n, threads int, task func(i int)) {
	threads = min(threads, n)
	if threads <= 1 {
		for i := range n {
			task(i)
		}
		return
	}
	var wait sync.WaitGroup
	for t := range threads {
		wait.Go(func() {
			for i := t; i < n; i += threads {
				task(i)
			}
		})
	}
	wait.Wait()
}
