package predictions

// within are those of the parts that a reading of at most so many stored bytes takes in: all of them, or those whose
// key's hash has its lowest bits clear, as many bits as it takes. More parts leave out some that were taken before, and
// never take in one that was left out. A part has whatever was answered in its moments, so the rows are a fair sample.
func within(parts []Part, bytes int64) []Part {
	total := int64(0)
	for _, p := range parts {
		total += p.Bytes
	}
	for halvings := 1; bytes > 0 && total > bytes && halvings < 63; halvings++ {
		mask := uint64(1)<<halvings - 1
		kept := parts[:0:0]
		total = 0
		for _, p := range parts {
			if mix(p.Key)&mask == 0 {
				kept = append(kept, p)
				total += p.Bytes
			}
		}
		parts = kept
	}
	return parts
}
