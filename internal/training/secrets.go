package training

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

const (
	// shortestSecret is what is looked for at least, in bytes: a shorter value (1, true, eu) is in every line of a log, and
	// no secret.
	shortestSecret = 6
	secretMark     = "***"
)

// hidden are values that no log and no error may show, longest first.
type hidden [][]byte

// hide takes the values of secrets, and each line of one that has several: a program prints line by line.
func hide(secrets map[string]string) hidden {
	var h hidden
	for _, value := range secrets {
		for _, line := range strings.Split(value, "\n") {
			if line = strings.TrimSpace(line); len(line) >= shortestSecret {
				h = append(h, []byte(line))
			}
		}
	}
	slices.SortFunc(h, func(a, b []byte) int { return cmp.Or(len(b)-len(a), bytes.Compare(a, b)) })
	return h
}

// in is a text with a mark in the place of each. A value that is printed in another form (encoded, cut) isn't found.
func (h hidden) in(text []byte) []byte {
	for _, value := range h {
		if bytes.Contains(text, value) {
			text = bytes.ReplaceAll(text, value, []byte(secretMark))
		}
	}
	return text
}

// WithoutSecrets is what a program printed, fit to be shown.
func WithoutSecrets(printed []byte, secrets map[string]string) []byte {
	return hide(secrets).in(printed)
}
