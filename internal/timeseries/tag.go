package timeseries

import (
	"fmt"
	"hash/fnv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxTagValue = 200 // bytes; a tag is part of an index that is held in memory
	emptyTag    = "-" // stores drop a tag without a value, and the series with it
)

// TagValue is s as a store may hold it: at most 200 bytes of valid UTF-8, printable, without quotes, backslashes
// and '$' (which query languages read), never empty. Values that are already so come back as they are; others get
// a hash of the original as suffix, so that two different values stay different.
func TagValue(s string) string {
	if s == "" {
		return emptyTag
	}
	if cleanTag(s) {
		return s
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(s))
	suffix := fmt.Sprintf("~%08x", h.Sum32())
	var b strings.Builder
	for _, r := range s {
		if !cleanRune(r) {
			r = '_'
		}
		if b.Len()+utf8.RuneLen(r) > maxTagValue-len(suffix) {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String()) + suffix
}

func cleanTag(s string) bool {
	if len(s) > maxTagValue || !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return false
	}
	for _, r := range s {
		if !cleanRune(r) {
			return false
		}
	}
	return true
}

func cleanRune(r rune) bool {
	return unicode.IsPrint(r) && r != '"' && r != '\\' && r != '$' && r != utf8.RuneError
}

func cleanTags(tags map[string]string) map[string]string {
	out := make(map[string]string, len(tags))
	for name, value := range tags {
		out[name] = TagValue(value)
	}
	return out
}
