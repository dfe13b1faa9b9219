package drift

import (
	"math/bits"
	"slices"
)

const (
	// insertBelow, spreadBelow are the numbers of keys up to which another way of sorting is faster, as measured.
	insertBelow, spreadBelow = 16, 1024
	digitBits                = 8
	digits                   = 64 / digitBits
)

// sortKeys sorts keys, which are spread over the 2^width keys from start where width isn't 0, and gives back what it used
// as room besides.
func sortKeys(keys, spare []uint64, start uint64, width uint8) []uint64 {
	n := len(keys)
	if n <= insertBelow {
		insertionSort(keys)
		return spare
	}
	spare = slices.Grow(spare[:0], n)[:n]
	if n <= spreadBelow && width > 0 {
		spreadSort(keys, spare, start, width)
	} else {
		radixSort(keys, spare)
	}
	return spare
}

// sortNumbers sorts numbers that aren't NaN. Minus zero becomes zero.
func sortNumbers(numbers []float64) {
	if len(numbers) <= spreadBelow {
		slices.Sort(numbers)
		return
	}
	keys := make([]uint64, len(numbers))
	for i, x := range numbers {
		keys[i] = keyOf(x)
	}
	radixSort(keys, make([]uint64, len(keys)))
	for i, key := range keys {
		numbers[i] = valueOf(key)
	}
}

// spreadSort distributes keys by what would be their ranks if they were evenly spread, and sorts those that share one.
func spreadSort(keys, spare []uint64, start uint64, width uint8) {
	var ends [spreadBelow]uint16
	places := uint8(min(bits.Len(uint(len(keys)-1)), 10, int(width)))
	shift := (width - places) & 63
	for _, key := range keys {
		ends[(key-start)>>shift&(spreadBelow-1)]++
	}
	at := uint16(0)
	for i := range ends[:1<<places] {
		at += ends[i]
		ends[i] = at
	}
	for _, key := range keys {
		end := &ends[(key-start)>>shift&(spreadBelow-1)]
		*end--
		spare[*end] = key
	}
	most := uint16(0)
	for i := range ends[:1<<places-1] { // ends are begins now
		most = max(most, ends[i+1]-ends[i])
	}
	copy(keys, spare)
	if most = max(most, uint16(len(keys))-ends[1<<places-1]); most > insertBelow && shift > 0 {
		slices.Sort(keys)
		return
	}
	insertionSort(keys)
}

func insertionSort(keys []uint64) {
	for i := 1; i < len(keys); i++ {
		key, j := keys[i], i
		for ; j > 0 && keys[j-1] > key; j-- {
			keys[j] = keys[j-1]
		}
		keys[j] = key
	}
}

// radixSort distributes by one digit after the other, from the least significant one. All digits are counted in one
// pass, and a digit that all keys share takes no pass.
func radixSort(keys, spare []uint64) {
	var counts [digits][1 << digitBits]int32
	for _, key := range keys {
		for d := range digits {
			counts[d][key>>(d*digitBits)&(1<<digitBits-1)]++
		}
	}
	from, to := keys, spare[:len(keys)]
	for d := range digits {
		shift := uint(d * digitBits)
		places := &counts[d]
		if int(places[from[0]>>shift&(1<<digitBits-1)]) == len(keys) {
			continue
		}
		at := int32(0)
		for i, n := range places {
			places[i] = at
			at += n
		}
		for _, key := range from {
			place := &places[key>>shift&(1<<digitBits-1)]
			to[*place] = key
			*place++
		}
		from, to = to, from
	}
	if &from[0] != &keys[0] {
		copy(keys, from)
	}
}
