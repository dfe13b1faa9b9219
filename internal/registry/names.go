package registry

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The keys in the bucket. Every variable part is checked before it is put into one, so no name escapes its folder
// and no key is another key's folder.
const (
	modelsPrefix   = "models/"
	datasetsPrefix = "datasets/"
	gatewaysPrefix = "gateways/"
	auditPrefix    = "audit/"
)

func ledgerPrefix(model string) string  { return modelsPrefix + model + "/ledger/" }
func indexPrefix(dataset string) string { return datasetsPrefix + dataset + "/index/" }

func specKey(model, digest string) string { return modelsPrefix + model + "/specs/" + digest + ".yaml" }

func artifactPrefix(model, digest string) string {
	return modelsPrefix + model + "/artifacts/" + digest + "/"
}

// CheckName holds names of models and data sets to lower-case letters, digits and dashes, 2 to 63 of them, the
// first a letter or digit.
func CheckName(what, name string) error {
	if len(name) < 2 || len(name) > 63 {
		return fmt.Errorf("%s name %.80q: %d characters, want 2 to 63", what, name, len(name))
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return fmt.Errorf("%s name %q: %q isn't a lower-case letter, digit or dash", what, name, r)
		}
	}
	if name[0] == '-' {
		return fmt.Errorf("%s name %q: starts with a dash", what, name)
	}
	return nil
}

// checkDigest wants the hex form of a SHA-256.
func checkDigest(what, digest string) error {
	if b, err := hex.DecodeString(digest); err != nil || len(b) != 32 || strings.ToLower(digest) != digest {
		return fmt.Errorf("%s %.80q: want the 64 lower-case hex digits of a SHA-256", what, digest)
	}
	return nil
}

// checkGatewayID wants what a host name or pod name is made of.
func checkGatewayID(id string) error {
	if id == "" || len(id) > 128 {
		return fmt.Errorf("gateway id %.140q: %d characters, want 1 to 128", id, len(id))
	}
	for i, r := range id {
		letter := (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9')
		if !letter && (i == 0 || (r != '-' && r != '.' && r != '_')) {
			return fmt.Errorf("gateway id %q: %q at byte %d isn't allowed", id, r, i)
		}
	}
	return nil
}

// checkFileName wants a relative path with forward slashes that stays where it is put, on any store and disk.
func checkFileName(name string) error {
	switch {
	case name == "" || len(name) > 512:
		return fmt.Errorf("file name %.80q: %d bytes, want 1 to 512", name, len(name))
	case !utf8.ValidString(name):
		return fmt.Errorf("file name %q: not UTF-8", name)
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == '\\' || r == ':' }):
		return fmt.Errorf("file name %q: holds a control character, backslash or colon", name)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment == "." || segment == ".." || len(segment) > 200 {
			return fmt.Errorf("file name %q: segment %.80q isn't allowed", name, segment)
		}
	}
	return nil
}
