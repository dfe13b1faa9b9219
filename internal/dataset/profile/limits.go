package profile

// limits bound what is kept of each column. They depend on the number of columns alone, so that shards of one data set
// have the same ones, and so that a profile of 10,000 columns stays under 100 MiB.
type limits struct {
	buckets    int  // of a numeric sketch; up to as many distinct numbers are exact
	categories int  // distinct categories that are counted
	text       int  // bytes of all counted categories together
	precision  uint // the base-2 logarithm of the HyperLogLog registers
}

const (
	// maxBuckets keeps a sketch of many numbers around 20 KB as JSON, and its table within a core's L2 cache.
	maxBuckets = 4096
	// minBuckets is above the number of values up to which drift treats numbers as categories.
	minBuckets = 64
	// allBuckets is for all columns together.
	allBuckets = 1 << 18

	maxCategories, minCategories, allCategories = 4096, 64, 1 << 18
	maxText, minText, allText                   = 256 << 10, 4 << 10, 16 << 20

	maxPrecision, minPrecision = 12, 8
)

// limitsFor are the limits of a profile of that many columns.
func limitsFor(columns int) limits {
	l := limits{buckets: maxBuckets, categories: maxCategories, text: maxText, precision: maxPrecision}
	for l.buckets > minBuckets && l.buckets*columns > allBuckets {
		l.buckets /= 2
	}
	for l.categories > minCategories && l.categories*columns > allCategories {
		l.categories /= 2
	}
	for l.text > minText && l.text*columns > allText {
		l.text /= 2
	}
	for l.precision > minPrecision && columns<<l.precision > allBuckets*4 {
		l.precision--
	}
	return l
}
