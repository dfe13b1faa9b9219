package objectstore

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Limits of one request. A whole transfer is bounded by its context only: it may be large.
const (
	dialTimeout   = 5 * time.Second
	headerTimeout = 30 * time.Second // from the request's end to the answer's first byte
	idlePerHost   = 64
	multipartFrom = 64 << 20 // bytes; larger bodies go in parts
	partSize      = 16 << 20 // bytes; doubled until the parts fit S3's limit of 10,000
	maxParts      = 10000
)

// S3Config says where the store is and who asks. What is empty comes from the usual AWS chain: environment
// (AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID, ...), shared files, instance roles.
type S3Config struct {
	Endpoint             string // http://host:port; "": AWS
	Region               string // "": the chain's, or us-east-1
	AccessKey, SecretKey string // both or neither
	PathStyle            bool   // http://host/bucket/key; also by LEANLOOP_S3_PATH_STYLE=true. IP addresses always are
}

// S3 is Buckets on any server that speaks S3.
type S3 struct {
	client   *s3.Client
	transfer *transfermanager.Client
}

// NewS3 makes a client. It asks no server yet: see Probe.
func NewS3(ctx context.Context, c S3Config) (*S3, error) {
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return nil, fmt.Errorf("S3 credentials: access key and secret key go together, only one is set")
	}
	if c.Endpoint != "" {
		if err := checkEndpoint(c.Endpoint); err != nil {
			return nil, err
		}
	}
	pathStyle, err := pathStyleFromEnv(os.Getenv("LEANLOOP_S3_PATH_STYLE"))
	if err != nil {
		return nil, err
	}
	loaded, err := c.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("S3 configuration: %w", err)
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.UsePathStyle = c.PathStyle || pathStyle
		o.DisableLogOutputChecksumValidationSkipped = true
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
	})
	return &S3{client: client, transfer: transfermanager.New(client)}, nil
}

// load asks the chain for what c leaves out. A c that leaves nothing out is about a server of its own, which no profile
// and no variable of this machine is for: then the chain isn't asked at all.
func (c S3Config) load(ctx context.Context) (aws.Config, error) {
	if c.Endpoint != "" && c.Region != "" && c.AccessKey != "" {
		return aws.Config{
			Region: c.Region, Credentials: credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, ""), HTTPClient: httpClient(),
			RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
			ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		}, nil
	}
	load := []func(*config.LoadOptions) error{
		config.WithHTTPClient(httpClient()),
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenSupported),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenSupported),
	}
	if c.Region != "" {
		load = append(load, config.WithRegion(c.Region))
	}
	if c.AccessKey != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, "")))
	}
	loaded, err := config.LoadDefaultConfig(ctx, load...)
	if loaded.Region == "" {
		loaded.Region = "us-east-1"
	}
	return loaded, err
}

// Bucket implements Buckets.
func (s *S3) Bucket(name string) Store { return &s3Bucket{s3: s, name: name} }

func pathStyleFromEnv(value string) (bool, error) {
	if value == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("LEANLOOP_S3_PATH_STYLE=%q: want true or false", value)
	}
	return on, nil
}

// httpClient is the SDK's, with limits on what must be quick. Without them a server that accepts and never answers
// would hold a caller whose context has no deadline.
func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = headerTimeout
			t.MaxIdleConnsPerHost = idlePerHost
		})
}
