package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// s3Bucket is one bucket of an S3.
type s3Bucket struct {
	s3   *S3
	name string
}

// Get implements Getter.
func (b *s3Bucket) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	if err := checkKey(key); err != nil {
		return nil, Info{}, err
	}
	out, err := b.s3.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		return nil, Info{}, b.error("get", key, err)
	}
	return out.Body, Info{
		Key:       key,
		Size:      aws.ToInt64(out.ContentLength),
		ETag:      unquote(out.ETag),
		VersionID: version(out.VersionId),
		Modified:  utc(out.LastModified),
	}, nil
}

// Stat implements Getter.
func (b *s3Bucket) Stat(ctx context.Context, key string) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	out, err := b.s3.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &key})
	if statusOf(err) == http.StatusNotFound {
		return b.statByGet(ctx, key)
	}
	if err != nil {
		return Info{}, b.error("stat", key, err)
	}
	return Info{
		Key:       key,
		Size:      aws.ToInt64(out.ContentLength),
		ETag:      unquote(out.ETag),
		VersionID: version(out.VersionId),
		Modified:  utc(out.LastModified),
	}, nil
}

// statByGet asks again in the one way whose answer says why: a 404 to HEAD has no body, hence no code, and might as
// well mean a missing bucket or an unknown user.
func (b *s3Bucket) statByGet(ctx context.Context, key string) (Info, error) {
	body, info, err := b.Get(ctx, key)
	if err != nil {
		return Info{}, err
	}
	return info, body.Close()
}

// Create implements Putter.
func (b *s3Bucket) Create(ctx context.Context, key string, body io.ReadSeeker, size int64) (Info, error) {
	return b.write(ctx, "create", key, body, size, aws.String("*"))
}

// Put implements Putter.
func (b *s3Bucket) Put(ctx context.Context, key string, body io.ReadSeeker, size int64) (Info, error) {
	return b.write(ctx, "put", key, body, size, nil)
}

func (b *s3Bucket) write(ctx context.Context, op, key string, body io.ReadSeeker, size int64, ifNoneMatch *string) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	if err := measure(op, key, body, size); err != nil {
		return Info{}, err
	}
	if size > multipartFrom {
		return b.writeParts(ctx, op, key, body, size, ifNoneMatch)
	}
	out, err := b.s3.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.name, Key: &key, Body: body, ContentLength: &size, IfNoneMatch: ifNoneMatch,
	})
	if err != nil {
		return Info{}, b.error(op, key, err)
	}
	return Info{Key: key, Size: size, ETag: unquote(out.ETag), VersionID: version(out.VersionId)}, nil
}

// writeParts uploads in parts; the condition is judged when they are joined, so it holds as for a single PUT.
func (b *s3Bucket) writeParts(ctx context.Context, op, key string, body io.Reader, size int64, ifNoneMatch *string) (Info, error) {
	if ifNoneMatch != nil { // ask first: the condition would be judged only after everything was sent
		switch _, err := b.Stat(ctx, key); {
		case err == nil:
			return Info{}, fmt.Errorf("%s %s: %w", op, URL(b.name, key), ErrExists)
		case !errors.Is(err, ErrNotFound):
			return Info{}, err
		}
	}
	part := int64(partSize)
	for size/part >= maxParts {
		part *= 2
	}
	inOrder := struct{ io.Reader }{body} // without Seek, so that the parts are read one after the other
	out, err := b.s3.transfer.UploadObject(ctx,
		&transfermanager.UploadObjectInput{Bucket: &b.name, Key: &key, Body: inOrder, IfNoneMatch: ifNoneMatch},
		func(o *transfermanager.Options) { o.PartSizeBytes = part })
	if err != nil {
		return Info{}, b.error(op, key, err)
	}
	return Info{Key: key, Size: size, ETag: unquote(out.ETag), VersionID: version(out.VersionID)}, nil
}

// List implements Lister.
func (b *s3Bucket) List(ctx context.Context, prefix string, each func(Info) error) error {
	pages := s3.NewListObjectsV2Paginator(b.s3.client, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return b.error("list", prefix, err)
		}
		for _, o := range page.Contents {
			info := Info{Key: aws.ToString(o.Key), Size: aws.ToInt64(o.Size), ETag: unquote(o.ETag), Modified: utc(o.LastModified)}
			if err := each(info); err != nil {
				return err
			}
		}
	}
	return nil
}

// Folders implements Lister.
func (b *s3Bucket) Folders(ctx context.Context, prefix string, each func(name string) error) error {
	pages := s3.NewListObjectsV2Paginator(b.s3.client,
		&s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix, Delimiter: aws.String("/")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return b.error("list the folders of", prefix, err)
		}
		for _, p := range page.CommonPrefixes {
			name := strings.TrimSuffix(strings.TrimPrefix(aws.ToString(p.Prefix), prefix), "/")
			if err := each(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// error sorts an answer: NoSuchKey is the only "not there", 412 and a conditional 409 are the only "exists".
func (b *s3Bucket) error(op, key string, err error) error {
	name := URL(b.name, key)
	var api smithy.APIError
	code := ""
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	switch {
	case code == "NoSuchKey":
		return fmt.Errorf("%s %s: %w", op, name, ErrNotFound)
	case statusOf(err) == http.StatusPreconditionFailed,
		code == "PreconditionFailed",
		code == "ConditionalRequestConflict":
		return fmt.Errorf("%s %s: %w", op, name, ErrExists)
	}
	return unreachable(op, name, err)
}

// statusOf is the HTTP status of a server's error answer, 0 for any other error.
func statusOf(err error) int {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

func unquote(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

// version is a version id, "" for what servers without versions answer.
func version(id *string) string {
	if v := aws.ToString(id); v != "null" {
		return v
	}
	return ""
}

func utc(t *time.Time) time.Time { return aws.ToTime(t).UTC() }
