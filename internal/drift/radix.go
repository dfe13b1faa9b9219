package drift

import "slices"

const (
	// insertBelow and radixFrom are where another way of sorting is faster, as measured.
	insertBelow, radixFrom = 32, 512
	digitBits              = 8
	digits                 = 64 / digitBits
)

// sortKeys sorts keys, and gives back what it used as room besides.
func sortKeys(keys, spare []uint64) []uint64 {
	switch n := len(keys); {
	case n <= insertBelow:
		insertionSort(keys)
	case n < radixFrom:
		slices.Sort(keys)
	default:
		spare = slices.Grow(spare[:0], n)[:n]
		radixSort(keys, spare)
	}
	return spare
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
