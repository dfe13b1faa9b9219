package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// cronFields are the five fields of a cron line with their ranges.
var cronFields = []struct {
	name      string
	low, high int
	words     []string // of low, low+1, ...
}{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of month", 1, 31, nil},
	{"month", 1, 12, []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
	{"day of week", 0, 7, []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
}

// checkCron says what is wrong with a line of five fields: *, numbers, names, ranges, lists and steps. The schedule
// itself is computed by the scheduler; this only keeps a wrong line from reaching it.
func checkCron(line string) error {
	parts := strings.Fields(line)
	if len(parts) != len(cronFields) {
		return fmt.Errorf("cron %q has %d fields, expected 5: minute hour day-of-month month day-of-week", line, len(parts))
	}
	for i, part := range parts {
		for _, item := range strings.Split(part, ",") {
			if err := checkCronItem(i, item); err != nil {
				return fmt.Errorf("cron %q: %s %q: %w", line, cronFields[i].name, item, err)
			}
		}
	}
	return nil
}

func checkCronItem(field int, item string) error {
	span, step, hasStep := strings.Cut(item, "/")
	if hasStep {
		if n, err := strconv.Atoi(step); err != nil || n < 1 || n > cronFields[field].high {
			return fmt.Errorf("step %q isn't within 1 and %d", step, cronFields[field].high)
		}
	}
	if span == "*" {
		return nil
	}
	first, last, isRange := strings.Cut(span, "-")
	from, err := cronValue(field, first)
	if err != nil || !isRange {
		return err
	}
	to, err := cronValue(field, last)
	if err == nil && from > to {
		err = fmt.Errorf("%s is after %s", first, last)
	}
	return err
}

func cronValue(field int, text string) (int, error) {
	f := cronFields[field]
	if i := slices.Index(f.words, strings.ToUpper(text)); i >= 0 {
		return f.low + i, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.low || n > f.high {
		return 0, fmt.Errorf("%q isn't within %d and %d", text, f.low, f.high)
	}
	return n, nil
}
