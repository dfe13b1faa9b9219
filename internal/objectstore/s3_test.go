package objectstore_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// answering is a bucket on a server that gives every request the same answer.
func answering(t *testing.T, status int, code string) objectstore.Store {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if code != "" && r.Method != http.MethodHead {
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>m</Message></Error>`, code)
		}
	}))
	t.Cleanup(server.Close)
	s3, err := objectstore.NewS3(t.Context(), objectstore.S3Config{
		Endpoint: server.URL, Region: "eu-west-1", AccessKey: "key", SecretKey: "secret", PathStyle: true,
	})
	require.NoError(t, err)
	return s3.Bucket("bucket")
}

func TestS3AnswersAreSortedByTheirCode(t *testing.T) {
	tests := []struct {
		rule             string
		status           int
		code             string
		notFound, exists bool
	}{
		{rule: "NoSuchKey is the only not-found", status: 404, code: "NoSuchKey", notFound: true},
		{rule: "a missing bucket isn't a missing key", status: 404, code: "NoSuchBucket"},
		{rule: "an unknown user isn't a missing key", status: 404, code: "InvalidAccessKeyId"},
		{rule: "a 404 of something else isn't a missing key", status: 404},
		{rule: "denied isn't a missing key", status: 403, code: "AccessDenied"},
		{rule: "412 is exists", status: 412, code: "PreconditionFailed", exists: true},
		{rule: "412 without a code is exists", status: 412, exists: true},
		{rule: "409 of crossing conditional writes is exists", status: 409, code: "ConditionalRequestConflict", exists: true},
		{rule: "any other 409 isn't", status: 409, code: "OperationAborted"},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			s := answering(t, test.status, test.code)
			_, _, getErr := s.Get(t.Context(), "k")
			_, statErr := s.Stat(t.Context(), "k")
			_, createErr := s.Create(t.Context(), "k", strings.NewReader("x"), 1)
			for op, err := range map[string]error{"get": getErr, "stat": statErr, "create": createErr} {
				require.Error(t, err, op)
				if op != "create" {
					require.Equal(t, test.notFound, isNotFound(err), "%s: %v", op, err)
				}
				if op == "create" {
					require.Equal(t, test.exists, isExists(err), "%s: %v", op, err)
				}
				if !test.exists && !test.notFound {
					require.ErrorContains(t, err, "object store unreachable", op)
				}
			}
		})
	}
}

func TestNewS3RefusesConfigurationsThatCannotWork(t *testing.T) {
	tests := []struct {
		config objectstore.S3Config
		env    string
		want   string
	}{
		{config: objectstore.S3Config{Endpoint: "localhost:9000"}, want: "http://host:port"},
		{config: objectstore.S3Config{Endpoint: "ftp://localhost"}, want: "http://host:port"},
		{config: objectstore.S3Config{AccessKey: "a"}, want: "go together"},
		{config: objectstore.S3Config{}, env: "perhaps", want: "LEANLOOP_S3_PATH_STYLE"},
	}
	for _, test := range tests {
		t.Setenv("LEANLOOP_S3_PATH_STYLE", test.env)
		_, err := objectstore.NewS3(t.Context(), test.config)
		require.ErrorContains(t, err, test.want)
	}
}

func isNotFound(err error) bool { return errors.Is(err, objectstore.ErrNotFound) }
func isExists(err error) bool   { return errors.Is(err, objectstore.ErrExists) }
