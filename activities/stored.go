package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// Limits of what is read whole into memory.
const (
	maxJSON  = 16 << 20
	maxModel = 512 << 20
)

// Limits of texts in bytes.
const (
	maxText    = 2000 // in results and in the ledger, which refuses longer ones
	maxCell    = 300  // of a file's, in a failure
	maxMessage = 4000 // of an error: Temporal refuses a failure that is too large, and the activity would never end
)

// putJSON stores v under prefix by the digest of its bytes, so that a retry writes the same object or another one, never
// half of each.
func putJSON(ctx context.Context, store objectstore.Putter, prefix string, v any) (key string, d FileDigest, err error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", d, permanent(ErrorCorrupt, err)
	}
	d = digestOf(raw)
	key = prefix + d.SHA256 + ".json"
	return key, d, create(ctx, store, key, raw)
}

// create writes an object that may exist already with the same content.
func create(ctx context.Context, store objectstore.Putter, key string, raw []byte) error {
	_, err := store.Create(ctx, key, bytes.NewReader(raw), int64(len(raw)))
	if errors.Is(err, objectstore.ErrExists) {
		return nil
	}
	return err
}

// getJSON reads what putJSON or create wrote. ErrNotFound stays what it is: some callers ask whether there is one.
func getJSON(ctx context.Context, store objectstore.Getter, key string, v any) error {
	raw, _, err := objectstore.ReadAll(ctx, store, key, maxJSON)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return permanent(ErrorCorrupt, fmt.Errorf("%s: %w", key, err))
	}
	return nil
}

// getVerified reads an object and refuses bytes that aren't the ones that were written.
func getVerified(ctx context.Context, store objectstore.Getter, key string, want FileDigest) ([]byte, error) {
	raw, _, err := objectstore.ReadAll(ctx, store, key, maxModel)
	if err != nil {
		return nil, lost(err)
	}
	if got := digestOf(raw); got != want {
		return nil, permanent(ErrorCorrupt, fmt.Errorf("%s: digest %.12s of %d bytes, want %.12s of %d", key, got.SHA256, got.Size, want.SHA256, want.Size))
	}
	return raw, nil
}

// lost types the error of reading something that is known to have been written: a store that answers that there is no
// such object won't have it later either, and one that is too large won't shrink.
func lost(err error) error {
	if errors.Is(err, objectstore.ErrNotFound) || isType[*objectstore.TooLarge](err) {
		return permanent(ErrorCorrupt, err)
	}
	return err
}

func digestOf(raw []byte) FileDigest {
	sum := sha256.Sum256(raw)
	return FileDigest{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(raw))}
}

// upload stores a finished file once, of whatever size.
func upload(ctx context.Context, store objectstore.Putter, key, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	_, err = store.Create(ctx, key, f, size)
	if errors.Is(err, objectstore.ErrExists) {
		return nil
	}
	return err
}

func datasetPrefix(model, digest string) string { return "datasets/" + model + "/" + digest + "/" }

func snapshotKey(model, digest string) string {
	return "datasets/" + model + "/snapshots/" + digest + ".json"
}

func runPrefix(model string, n int) string { return fmt.Sprintf("runs/%s/%012d/", model, n) }

// clip shortens a text to n bytes at most, at the end of a character.
func clip(s string, n int) string {
	const more = "..."
	if len(s) <= n {
		return s
	}
	end := max(0, n-len(more))
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + more
}

// listed joins the first texts and counts the others; a text that occurs twice is told once.
func listed(texts []string, shown int) string {
	seen := map[string]bool{}
	var unique []string
	for _, s := range texts {
		if !seen[s] {
			seen[s] = true
			unique = append(unique, s)
		}
	}
	if more := len(unique) - shown; more > 0 {
		unique = append(unique[:shown:shown], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(unique, "; ")
}
