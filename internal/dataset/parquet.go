package dataset

import (
	"context"
	"fmt"
)

// scanParquet is Scan for the format parquet.
func scanParquet(_ context.Context, _ Source, o ReadOptions, _ Visitor) (Info, *Report, error) {
	return Info{}, &Report{Name: o.Name}, fmt.Errorf("%s: format parquet: not read by this build", o.Name)
}
