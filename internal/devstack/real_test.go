package devstack

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// The real servers, built if need be: that takes minutes the first time.
func TestTheRealStackStartsStopsAndKeepsItsState(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts real servers")
	}
	t.Setenv("TEMPORAL_ADDRESS", "")
	var log bytes.Buffer
	o := Options{
		DataDir: t.TempDir(), SearchAttributes: map[string]string{"Model": "Keyword"}, Buckets: []string{"lake"},
		NoUI: true, NoInflux: true, TemporalCLI: noCLI, Log: &log,
	}
	first, err := Start(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	put(t, first.Addresses(), "a", "kept")
	if got, err := Running(t.Context(), o.DataDir); err != nil || got.PID != first.Pid() {
		t.Errorf("running: %+v, %v", got, err)
	}
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "is in use by another devstack") {
		t.Errorf("a second stack on the folder: %v", err)
	}
	first.Kill()
	if err := <-first.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("after SIGKILL: %v", err)
	}

	second, err := Start(t.Context(), o)
	must(t, err)
	a, b := first.Addresses(), second.Addresses()
	if a.Temporal != b.Temporal || a.S3.Endpoint != b.S3.Endpoint || a.S3.SecretKey != b.S3.SecretKey {
		t.Errorf("the restarted stack moved from %+v to %+v", a, b)
	}
	if !slices.Equal(b.Started, []string{"temporal", "s3"}) {
		t.Errorf("started %v", b.Started)
	}
	if got := get(t, b, "a"); got != "kept" {
		t.Errorf("the object is %q after a kill", got)
	}
	resp, err := http.Get(b.Health)
	must(t, err)
	defer resp.Body.Close()
	var health struct{ Status string }
	if err := json.NewDecoder(resp.Body).Decode(&health); err != nil || health.Status != "ok" {
		t.Errorf("health %+v, %v", health, err)
	}
	must(t, second.Stop(t.Context()))
	if syscall.Kill(second.Pid(), 0) == nil {
		t.Errorf("pid %d runs after Stop", second.Pid())
	}
	if warnings, err := os.ReadFile(filepath.Join(o.DataDir, logFile)); err != nil || strings.Contains(string(warnings), "ERROR") {
		t.Errorf("log: %s, %v", warnings, err)
	}
}

func client(a Addresses) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(a.S3.Endpoint), Region: a.S3.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(a.S3.AccessKey, a.S3.SecretKey, ""),
	})
}

func put(t *testing.T, a Addresses, key, content string) {
	t.Helper()
	_, err := client(a).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("lake"), Key: aws.String(key), Body: strings.NewReader(content),
	})
	must(t, err)
}

func get(t *testing.T, a Addresses, key string) string {
	t.Helper()
	out, err := client(a).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("lake"), Key: aws.String(key)})
	must(t, err)
	defer out.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(out.Body)
	must(t, err)
	return b.String()
}
