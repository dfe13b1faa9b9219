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

// add accumulates rows into the histogram of a block that has eight features.
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

// addSome is add for a block that has fewer features.
func (h *blockHistogram) addSome(words []uint64, rows []int32, gradients []gradient, features int) {
	part := h[:features]
	for _, row := range rows {
		w := words[row]
		g, hess := float64(gradients[row].g), float64(gradients[row].h)
		for f := range part {
			s := &part[f][uint8(w)]
			s.g += g
			s.h += hess
			w >>= 8
		}
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
