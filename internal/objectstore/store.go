// Package objectstore is the port to the bucket that keeps everything that lasts, with one provider per file:
// S3 for real, Memory for tests, Dir for a copy of a bucket on disk, and Faulty, which makes any of them misbehave.
//
// The promise on which the registry rests is that Create makes an object exactly once, whoever races for it.
// Probe refuses a store that doesn't keep it. This package must never delete an object, and must never take
// "I couldn't ask" for "it isn't there".
package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Info describes one stored object.
type Info struct {
	Key       string
	Size      int64     // bytes
	ETag      string    // without its quotes; the provider's own mark of the content, not a digest to rely on
	VersionID string    // "" in a bucket without versions, and in listings
	Modified  time.Time // UTC
}

// The two answers that a caller may act on. Every other error means that the store couldn't be asked.
var (
	// ErrNotFound is the store's definite answer that a key holds no object (S3: the code NoSuchKey).
	ErrNotFound = errors.New("no such object")
	// ErrExists is the answer to a Create of a key that is taken or that another Create is taking right now
	// (S3: 412 and 409). It can also be the answer to one's own write, retried after a time-out: who must know
	// reads the object.
	ErrExists = errors.New("object exists")
)

// Getter reads objects.
type Getter interface {
	// Get opens an object; the caller closes it. ErrNotFound if there is none.
	Get(ctx context.Context, key string) (io.ReadCloser, Info, error)
	// Stat describes an object without reading it. ErrNotFound if there is none.
	Stat(ctx context.Context, key string) (Info, error)
}

// Putter writes objects. The body is read from its start, perhaps more than once, and must hold exactly size bytes.
// An error other than ErrExists leaves open whether the object was written.
type Putter interface {
	// Create writes an object that must not exist; ErrExists if it does. Of concurrent calls one wins.
	Create(ctx context.Context, key string, body io.ReadSeeker, size int64) (Info, error)
	// Put writes or replaces an object.
	Put(ctx context.Context, key string, body io.ReadSeeker, size int64) (Info, error)
}

// Lister enumerates objects, in the order of their keys' bytes. An error from each ends the listing and is returned.
type Lister interface {
	// List calls each for every object whose key starts with prefix.
	List(ctx context.Context, prefix string, each func(Info) error) error
	// Folders calls each for every distinct key segment that follows prefix and is followed by a slash.
	Folders(ctx context.Context, prefix string, each func(name string) error) error
}

// Store is one bucket.
type Store interface {
	Getter
	Putter
	Lister
}

// Buckets opens buckets by name; landing data may live in another bucket than leanloop's own.
type Buckets interface {
	Bucket(name string) Store
}

// ReadAll reads a whole object of at most limit bytes. A larger one is an error of type *TooLarge.
func ReadAll(ctx context.Context, from Getter, key string, limit int64) ([]byte, Info, error) {
	body, info, err := from.Get(ctx, key)
	if err != nil {
		return nil, Info{}, err
	}
	defer body.Close()
	if info.Size > limit {
		return nil, info, &TooLarge{Key: key, Size: info.Size, Limit: limit}
	}
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, info, unreachable("read", key, err)
	}
	if int64(len(data)) > limit {
		return nil, info, &TooLarge{Key: key, Size: int64(len(data)), Limit: limit}
	}
	return data, info, nil
}

// TooLarge says that an object exceeds what its reader is ready to hold in memory.
type TooLarge struct {
	Key         string
	Size, Limit int64 // bytes
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("object %s: %d bytes > limit %d", e.Key, e.Size, e.Limit)
}

// unreachable wraps what went wrong between us and the store.
func unreachable(op, key string, err error) error {
	return fmt.Errorf("object store unreachable: %s %s: %w", op, key, err)
}

// measure holds a body to its announced size before a byte is sent, and leaves it at its start.
func measure(op, key string, body io.Seeker, size int64) error {
	end, err := body.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("%s %s: measure the body: %w", op, key, err)
	}
	if end != size {
		return fmt.Errorf("%s %s: the body holds %d bytes, %d were announced", op, key, end, size)
	}
	return nil
}
