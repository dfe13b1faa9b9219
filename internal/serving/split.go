package serving

// stickyPoint maps a request's key to [0, 1). The same key, model and challenger give the same point in every
// gateway, so raising the weight only adds keys to the challenger's side; another challenger gets other keys, so no
// one is always the first to try. FNV-1a over the parts, then the finalizer of MurmurHash3, since FNV's high bits
// alone are too alike for keys that differ only at their end.
func stickyPoint(salt uint64, key []byte) float64 {
	h := salt
	for _, c := range key {
		h = (h ^ uint64(c)) * fnvPrime
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return float64(h>>11) / (1 << 53)
}

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// stickySalt starts the hash with the model and the challenger's version.
func stickySalt(model string, challenger int) uint64 {
	h := uint64(fnvOffset)
	for i := range len(model) {
		h = (h ^ uint64(model[i])) * fnvPrime
	}
	h *= fnvPrime // a byte 0 between the parts
	for v := uint(challenger); v > 0; v >>= 8 {
		h = (h ^ uint64(v&0xff)) * fnvPrime
	}
	return h * fnvPrime
}
