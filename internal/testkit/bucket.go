package testkit

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// NewBucket makes an empty bucket of the stack's S3 server, with that name or one like it.
func (s *Stack) NewBucket(t testing.TB, name string) objectstore.Store {
	t.Helper()
	name = s.Name(name)
	c := s3.New(s3.Options{
		BaseEndpoint: aws.String(s.servers.S3.Endpoint), Region: s.servers.S3.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.servers.S3.AccessKey, s.servers.S3.SecretKey, ""),
	})
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		t.Fatalf("bucket %s: %v", name, err)
	}
	return s.Buckets.Bucket(name)
}
