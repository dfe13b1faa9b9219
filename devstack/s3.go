package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscreds "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

// external is the source of a component that ran already.
const external = "external"

// Limits of the S3 server.
const (
	s3Connections   = 4096
	s3Requests      = 1024
	s3MaxParts      = 10_000  // AWS's own limit
	s3CopyThreshold = 5 << 30 // bytes, AWS's own limit; 0 would refuse every copy
	s3StartLimit    = 30 * time.Second
)

// startS3 runs versitygw over the folder <data>/s3 and creates the buckets.
func (s *stack) startS3(ctx context.Context) ([]component, error) {
	if s.s3 != "" {
		return []component{{name: "s3", source: external, address: s.s3, check: checkHTTP(s.s3)}}, nil
	}
	backend, err := s.openBuckets()
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	address := loopback(s.ports.S3)
	running, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		err := embedgw.RunVersityGW(running, backend, &embedgw.Config{
			RootUserAccess:    s.s3Keys.AccessKey,
			RootUserSecret:    s.s3Keys.SecretKey,
			Region:            s.s3Region,
			Ports:             []string{address},
			MaxConnections:    s3Connections,
			MaxRequests:       s3Requests,
			MultipartMaxParts: s3MaxParts,
			KeepAlive:         true,
			Quiet:             true,
			HealthPath:        "/healthz",
			EventWebhookURL:   "http://" + loopback(s.ports.Health) + eventsPath,
		})
		ended <- err
		close(ended)
	}()
	c := component{
		name: "s3", source: "embedded", address: "http://" + address,
		check: checkHTTP("http://" + address + "/healthz"),
		ended: ended,
		stop: func(ctx context.Context) error {
			cancel()
			select {
			case err := <-ended:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
	up := []component{c}
	ctx, done := context.WithTimeout(ctx, s3StartLimit)
	defer done()
	if err := await(ctx, "s3", c.check, ended); err != nil {
		return up, err
	}
	return up, s.createBuckets(ctx, c.address)
}

// openBuckets opens the server's folders. Metadata is kept in extended
// attributes where the file system has them, else in files beside; the choice
// of the first start holds, since the other would not find what it wrote.
func (s *stack) openBuckets() (*posix.Posix, error) {
	root := filepath.Join(s.data, "s3", "buckets")
	versions := filepath.Join(s.data, "s3", "versions")
	attributes := filepath.Join(s.data, "s3", "attributes")
	for _, dir := range []string{root, versions} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	opts := posix.PosixOpts{VersioningDir: versions, CopyObjectThreshold: s3CopyThreshold}
	_, err := os.Stat(attributes)
	if err != nil && (meta.XattrMeta{}).Test(root) == nil {
		return posix.New(root, meta.XattrMeta{}, opts)
	}
	if err := os.MkdirAll(attributes, 0o755); err != nil {
		return nil, err
	}
	sidecar, err := meta.NewSideCar(attributes)
	if err != nil {
		return nil, err
	}
	opts.SideCarDir = attributes
	return posix.New(root, sidecar, opts)
}

// createBuckets makes the buckets that don't exist, through the S3 API.
func (s *stack) createBuckets(ctx context.Context, endpoint string) error {
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String(endpoint),
		Region:       s.s3Region,
		UsePathStyle: true,
		Credentials:  awscreds.NewStaticCredentialsProvider(s.s3Keys.AccessKey, s.s3Keys.SecretKey, ""),
	})
	for _, name := range s.buckets {
		_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)})
		var owned *types.BucketAlreadyOwnedByYou
		if err != nil && !errors.As(err, &owned) {
			return fmt.Errorf("s3: create bucket %s: %w", name, err)
		}
	}
	return nil
}
