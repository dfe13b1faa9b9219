package objectstore

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxKey is S3's limit of a key's length in bytes.
const maxKey = 1024

// ParseURL splits s3://bucket/key. The key may be empty or end in a slash, for a prefix. Nothing is unescaped:
// a key is written as it is.
func ParseURL(s string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(s, "s3://")
	if !ok {
		return "", "", fmt.Errorf("object URL %q: want s3://bucket/key", s)
	}
	bucket, key, _ = strings.Cut(rest, "/")
	if err := checkBucket(bucket); err != nil {
		return "", "", fmt.Errorf("object URL %q: %w", s, err)
	}
	if key != "" {
		if err := checkKey(strings.TrimSuffix(key, "/")); err != nil {
			return "", "", fmt.Errorf("object URL %q: %w", s, err)
		}
	}
	return bucket, key, nil
}

// URL is the inverse of ParseURL.
func URL(bucket, key string) string { return "s3://" + bucket + "/" + key }

// checkBucket holds names to what every S3 server takes: 3 to 63 lower-case letters, digits, dots and dashes.
func checkBucket(name string) error {
	if len(name) < 3 || len(name) > 63 {
		return fmt.Errorf("bucket %q: %d characters, want 3 to 63", name, len(name))
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' {
			return fmt.Errorf("bucket %q: %q isn't a lower-case letter, digit, dot or dash", name, r)
		}
	}
	if strings.Contains(name, "..") || name[0] == '.' || name[0] == '-' {
		return fmt.Errorf("bucket %q: must start with a letter or digit and hold no two dots in a row", name)
	}
	return nil
}

// checkKey refuses keys that some server would resolve to another one: on a POSIX-backed store "a/../b" is "b".
func checkKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("key is empty")
	case len(key) > maxKey:
		return fmt.Errorf("key %.40q...: %d bytes > limit %d", key, len(key), maxKey)
	case !utf8.ValidString(key):
		return fmt.Errorf("key %q: not UTF-8", key)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("key %q: segment %q isn't allowed", key, segment)
		}
	}
	if i := strings.IndexFunc(key, unicode.IsControl); i >= 0 {
		return fmt.Errorf("key %q: control character at byte %d", key, i)
	}
	return nil
}

// checkEndpoint refuses an address that net/http can't use, before the first request fails on it.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return fmt.Errorf("S3 endpoint: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("S3 endpoint %q: want http://host:port or https://host", endpoint)
	}
	return nil
}
