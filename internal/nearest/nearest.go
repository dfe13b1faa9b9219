// Package nearest finds the name that was meant by one that is unknown. It is for messages; it decides nothing.
package nearest

import (
	"fmt"
	"strings"
)

// Name is the candidate with the smallest edit distance to name, and whether it is near enough to be meant. A
// candidate that contains the name, as roc_auc does auc, is as near as one edit.
func Name(name string, candidates []string) (string, bool) {
	best, least := "", len(name)+100
	for _, c := range candidates {
		if len(name) >= 3 && strings.Contains(c, strings.ToLower(name)) && least > 1 {
			best, least = c, 1
			continue
		}
		if d := editDistance(strings.ToLower(name), c); d < least {
			best, least = c, d
		}
	}
	return best, least <= max(2, min(len(name), len(best))/2)
}

// editDistance counts the insertions, deletions, substitutions and swaps of neighbours that make b of a (optimal
// string alignment).
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// longest is the length of a name up to which a near one is looked for: the distance takes quadratic time.
const longest = 64

// Hint names the nearest valid name, and all of them.
func Hint(name string, valid []string) string {
	list := "valid: " + strings.Join(valid, ", ")
	if len(name) > longest {
		return list
	}
	if near, ok := Name(name, valid); ok {
		return fmt.Sprintf("did you mean %q? %s", near, list)
	}
	return list
}
