package objectstore

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a Store that lives in this process, for tests: strongly consistent, safe for concurrent use, and as
// strict as the strictest real server (a key can't exist beside a key below it). Its clock is a counter.
type Memory struct {
	mu      sync.RWMutex
	objects map[string]object
	writes  int64
}

type object struct {
	data []byte
	info Info
}

// NewMemory is an empty Memory.
func NewMemory() *Memory { return &Memory{objects: map[string]object{}} }

// Get implements Getter.
func (m *Memory) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	o, err := m.find(ctx, "get", key)
	if err != nil {
		return nil, Info{}, err
	}
	return io.NopCloser(bytes.NewReader(o.data)), o.info, nil
}

// Stat implements Getter.
func (m *Memory) Stat(ctx context.Context, key string) (Info, error) {
	o, err := m.find(ctx, "stat", key)
	return o.info, err
}

func (m *Memory) find(ctx context.Context, op, key string) (object, error) {
	if err := ctx.Err(); err != nil {
		return object{}, unreachable(op, key, err)
	}
	if err := checkKey(key); err != nil {
		return object{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, ok := m.objects[key]
	if !ok {
		return object{}, fmt.Errorf("%s %s: %w", op, key, ErrNotFound)
	}
	return o, nil
}

// Create implements Putter.
func (m *Memory) Create(ctx context.Context, key string, body io.ReadSeeker, size int64) (Info, error) {
	return m.write(ctx, "create", key, body, size, true)
}

// Put implements Putter.
func (m *Memory) Put(ctx context.Context, key string, body io.ReadSeeker, size int64) (Info, error) {
	return m.write(ctx, "put", key, body, size, false)
}

func (m *Memory) write(ctx context.Context, op, key string, body io.ReadSeeker, size int64, once bool) (Info, error) {
	if err := ctx.Err(); err != nil {
		return Info{}, unreachable(op, key, err)
	}
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	data, err := readBody(op, key, body, size)
	if err != nil {
		return Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.objects[key]; taken && once {
		return Info{}, fmt.Errorf("%s %s: %w", op, key, ErrExists)
	}
	for other := range m.objects {
		if strings.HasPrefix(other, key+"/") || strings.HasPrefix(key, other+"/") {
			return Info{}, fmt.Errorf("%s %s: key %s exists, and no key may be another key's folder", op, key, other)
		}
	}
	m.writes++
	sum := md5.Sum(data) // S3's ETag of a plain object, nothing more
	info := Info{Key: key, Size: size, ETag: hex.EncodeToString(sum[:]), Modified: time.Unix(m.writes, 0).UTC()}
	m.objects[key] = object{data: data, info: info}
	return info, nil
}

// List implements Lister.
func (m *Memory) List(ctx context.Context, prefix string, each func(Info) error) error {
	m.mu.RLock()
	found := make([]Info, 0, len(m.objects))
	for key, o := range m.objects {
		if strings.HasPrefix(key, prefix) {
			found = append(found, o.info)
		}
	}
	m.mu.RUnlock()
	return eachInfo(ctx, prefix, found, each)
}

// Folders implements Lister.
func (m *Memory) Folders(ctx context.Context, prefix string, each func(name string) error) error {
	return foldersOf(ctx, m, prefix, each)
}

// Remove takes an object away, for tests of what must be noticed: nothing in the product deletes.
func (m *Memory) Remove(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
}

// MemoryBuckets is a set of Memory buckets that come to be when first named.
type MemoryBuckets struct {
	mu      sync.Mutex
	buckets map[string]*Memory
}

// NewMemoryBuckets is an empty MemoryBuckets.
func NewMemoryBuckets() *MemoryBuckets { return &MemoryBuckets{buckets: map[string]*Memory{}} }

// Bucket implements Buckets.
func (b *MemoryBuckets) Bucket(name string) Store {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, ok := b.buckets[name]
	if !ok {
		m = NewMemory()
		b.buckets[name] = m
	}
	return m
}

// readBody reads a body of the announced size.
func readBody(op, key string, body io.ReadSeeker, size int64) ([]byte, error) {
	if err := measure(op, key, body, size); err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, fmt.Errorf("%s %s: read the body: %w", op, key, err)
	}
	return data, nil
}

// eachInfo hands out infos by key.
func eachInfo(ctx context.Context, prefix string, found []Info, each func(Info) error) error {
	slices.SortFunc(found, func(a, b Info) int { return strings.Compare(a.Key, b.Key) })
	for _, info := range found {
		if err := ctx.Err(); err != nil {
			return unreachable("list", prefix, err)
		}
		if err := each(info); err != nil {
			return err
		}
	}
	return nil
}

// foldersOf finds folders by a full listing, which is fine where a listing costs no request.
func foldersOf(ctx context.Context, l Lister, prefix string, each func(name string) error) error {
	names := map[string]bool{}
	err := l.List(ctx, prefix, func(info Info) error {
		if name, _, ok := strings.Cut(info.Key[len(prefix):], "/"); ok {
			names[name] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := each(name); err != nil {
			return err
		}
	}
	return nil
}
