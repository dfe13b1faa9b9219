package objectstore_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// carelessStore ignores If-None-Match, as some S3 servers do.
type carelessStore struct{ *objectstore.Memory }

func (s carelessStore) Create(ctx context.Context, key string, body io.ReadSeeker, size int64) (objectstore.Info, error) {
	return s.Put(ctx, key, body, size)
}

// secretiveStore answers 403 for what isn't there, as S3 does to those who may not list.
type secretiveStore struct{ *objectstore.Memory }

func (s secretiveStore) Get(ctx context.Context, key string) (io.ReadCloser, objectstore.Info, error) {
	body, info, err := s.Memory.Get(ctx, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, info, errors.New("AccessDenied")
	}
	return body, info, err
}

func TestProbeRefuses(t *testing.T) {
	tests := []struct {
		rule  string
		store objectstore.Store
		want  string
	}{
		{"a store that ignores the condition", carelessStore{objectstore.NewMemory()}, "want 412"},
		{"a store that doesn't say what is missing", secretiveStore{objectstore.NewMemory()}, "s3:ListBucket"},
		{"a store that doesn't answer", objectstore.NewFaulty(objectstore.NewMemory(),
			func(string, string) objectstore.Fault { return objectstore.FailBefore }), "unreachable"},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			require.ErrorContains(t, objectstore.Probe(t.Context(), test.store), test.want)
		})
	}
}

func TestParseURL(t *testing.T) {
	tests := []struct {
		url, bucket, key, problem string
	}{
		{url: "s3://lake/flights/2013-01.csv.gz", bucket: "lake", key: "flights/2013-01.csv.gz"},
		{url: "s3://lake/flights/", bucket: "lake", key: "flights/"},
		{url: "s3://lake/", bucket: "lake"},
		{url: "s3://lake", bucket: "lake"},
		{url: "s3://lake/a b+c%20", bucket: "lake", key: "a b+c%20"},
		{url: "https://lake/a", problem: "want s3://bucket/key"},
		{url: "", problem: "want s3://bucket/key"},
		{url: "s3://", problem: "0 characters"},
		{url: "s3://Lake/a", problem: "isn't a lower-case letter"},
		{url: "s3://la..ke/a", problem: "two dots"},
		{url: "s3://lake//a", problem: `segment ""`},
		{url: "s3://lake/a/../b", problem: `segment ".."`},
		{url: "s3://lake/a//", problem: `segment ""`},
	}
	for _, test := range tests {
		bucket, key, err := objectstore.ParseURL(test.url)
		if test.problem != "" {
			require.ErrorContains(t, err, test.problem, test.url)
			continue
		}
		require.NoError(t, err, test.url)
		require.Equal(t, test.bucket, bucket)
		require.Equal(t, test.key, key)
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("s3://lake/flights/2013-01.csv.gz")
	f.Add("s3://lake/../x")
	f.Fuzz(func(t *testing.T, s string) {
		bucket, key, err := objectstore.ParseURL(s)
		if err != nil {
			return
		}
		again, againKey, err := objectstore.ParseURL(objectstore.URL(bucket, key))
		require.NoError(t, err)
		require.Equal(t, bucket, again)
		require.Equal(t, key, againKey)
	})
}
