package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscreds "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// A kill, a clean stop and new search attributes between starts on one folder.
func TestStateOutlivesTheProcess(t *testing.T) {
	realServers(t)
	dir := t.TempDir()
	args := []string{"--data", dir, "--temporal-cli", noCLI, "--search-attribute", "Model=Keyword", "--bucket", "lake"}

	first := startProcess(t, args...)
	if got, want := first.Started, []string{"temporal", "ui", "s3", "influx"}; !slices.Equal(got, want) {
		t.Errorf("started %v, want %v", got, want)
	}
	runWorkflow(t, first, "w1", "Model")
	putObject(t, first, "a/b", "one")
	writePoint(t, first, "m v=1 1700000000000000000")
	if message := failedStart(t, args...); !strings.Contains(message, fmt.Sprintf("pid %d", first.PID)) {
		t.Errorf("a second start on the folder doesn't name the holder's pid %d: %s", first.PID, message)
	}
	first.kill(t)

	second := startProcess(t, append(args, "--search-attribute", "Stage=Keyword", "--retention", "48h")...)
	if first.Temporal != second.Temporal || first.Influx != second.Influx || first.Health != second.Health {
		t.Errorf("addresses moved from %+v to %+v", first.ready, second.ready)
	}
	if first.S3.Endpoint != second.S3.Endpoint || first.S3.credentials != second.S3.credentials {
		t.Errorf("s3 moved from %+v to %+v", first.S3, second.S3)
	}
	if got := workflowResult(t, second, "w1"); got != "w1 done" {
		t.Errorf("after kill -9 workflow w1 gives %q", got)
	}
	runWorkflow(t, second, "w2", "Stage") // works at once, though added to an old namespace
	if got := getObject(t, second, "a/b"); got != "one" {
		t.Errorf("after kill -9 object a/b is %q", got)
	}
	second.stop(t)
	if _, err := os.Stat(filepath.Join(dir, readyName)); err == nil {
		t.Errorf("%s is still there after a clean stop", readyName)
	}

	third := startProcess(t, args...)
	for _, id := range []string{"w1", "w2"} {
		if got := workflowResult(t, third, id); got != id+" done" {
			t.Errorf("after a restart workflow %s gives %q", id, got)
		}
	}
	if got := queryPoints(t, third); !strings.Contains(got, ",1,") {
		t.Errorf("after restarts the point is not found by Flux: %q", got)
	}
	must(t, third.stdin.Close()) // as when the parent dies
	if code := third.wait(t); code != 0 {
		t.Errorf("exit code %d after the parent's pipe closed: %s", code, third.stderr)
	}
}

func TestServersBehaveAsTheProductNeeds(t *testing.T) {
	realServers(t)
	events := make(chan string, 100)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		events <- string(body)
	}))
	defer hook.Close()
	p := startProcess(t, "--data", t.TempDir(), "--temporal-cli", noCLI, "--bucket", "lake", "--bucket", "spare",
		"--event-webhook", hook.URL, "--influx-database", "loop")

	t.Run("a second conditional PUT is 412", func(t *testing.T) {
		put := func() error {
			_, err := s3Client(p).PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String("lake"), Key: aws.String("ledger/1"), Body: strings.NewReader("x"), IfNoneMatch: aws.String("*"),
			})
			return err
		}
		must(t, put())
		if err := put(); err == nil || !strings.Contains(err.Error(), "StatusCode: 412") {
			t.Errorf("second PUT: %v, want status 412", err)
		}
	})
	t.Run("an S3 event reaches the webhook", func(t *testing.T) {
		putObject(t, p, "landing/jan.csv", "1")
		deadline := time.After(10 * time.Second)
		for {
			select {
			case e := <-events:
				if strings.Contains(e, "landing/jan.csv") && strings.Contains(e, "ObjectCreated") {
					return
				}
			case <-deadline:
				t.Fatal("no event for landing/jan.csv within 10 s")
			}
		}
	})
	t.Run("an object can be copied", func(t *testing.T) {
		putObject(t, p, "from", "content")
		_, err := s3Client(p).CopyObject(t.Context(), &s3.CopyObjectInput{
			Bucket: aws.String("spare"), Key: aws.String("to"), CopySource: aws.String("lake/from"),
		})
		must(t, err)
	})
	t.Run("the UI answers", func(t *testing.T) {
		resp, err := http.Get(p.Temporal.UI)
		must(t, err)
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
	t.Run("health names every component", func(t *testing.T) {
		resp, err := http.Get(p.Health)
		must(t, err)
		defer resp.Body.Close()
		var r report
		must(t, json.NewDecoder(resp.Body).Decode(&r))
		if resp.StatusCode != http.StatusOK || r.Status != "ok" || len(r.Components) != 4 {
			t.Errorf("status %d, %+v", resp.StatusCode, r)
		}
	})
	t.Run("InfluxDB takes 2.x writes and Flux", func(t *testing.T) {
		writePoint(t, p, "m v=42 1700000000000000000")
		if got := queryPoints(t, p); !strings.Contains(got, ",42,") {
			t.Errorf("Flux finds %q", got)
		}
	})
	p.stop(t)
	if strings.Contains(p.stderr.String(), "ERROR") {
		t.Errorf("errors were logged: %s", p.stderr)
	}
}

func TestASearchAttributeKeepsItsType(t *testing.T) {
	realServers(t)
	dir := t.TempDir()
	light := []string{"--data", dir, "--temporal-cli", noCLI, "--no-influx", "--no-ui"}
	startProcess(t, append(light, "--search-attribute", "Model=Keyword")...).stop(t)

	message := failedStart(t, append(light, "--search-attribute", "Model=Int")...)
	if !strings.Contains(message, "Model has type Keyword already, not Int") {
		t.Errorf("start with another type: %s", message)
	}
}

// finish is the workflow that tests run.
func finish(_ workflow.Context, id string) (string, error) { return id + " done", nil }

func temporalClient(t *testing.T, p *process) client.Client {
	t.Helper()
	c, err := client.DialContext(within(t, 10*time.Second), client.Options{
		HostPort: p.Temporal.Address, Namespace: p.Temporal.Namespace,
		Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// runWorkflow completes a workflow that carries a search attribute.
func runWorkflow(t *testing.T, p *process, id, attribute string) {
	t.Helper()
	c := temporalClient(t, p)
	w := worker.New(c, "q", worker.Options{})
	w.RegisterWorkflow(finish)
	must(t, w.Start())
	defer w.Stop()
	run, err := c.ExecuteWorkflow(within(t, 20*time.Second), client.StartWorkflowOptions{
		ID: id, TaskQueue: "q",
		TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(attribute).ValueSet("x")),
	}, finish, id)
	must(t, err)
	must(t, run.Get(within(t, 20*time.Second), nil))
}

func workflowResult(t *testing.T, p *process, id string) string {
	t.Helper()
	var result string
	must(t, temporalClient(t, p).GetWorkflow(t.Context(), id, "").Get(within(t, 20*time.Second), &result))
	return result
}

func s3Client(p *process) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(p.S3.Endpoint), Region: p.S3.Region, UsePathStyle: true,
		Credentials: awscreds.NewStaticCredentialsProvider(p.S3.AccessKey, p.S3.SecretKey, ""),
	})
}

func putObject(t *testing.T, p *process, key, content string) {
	t.Helper()
	_, err := s3Client(p).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("lake"), Key: aws.String(key), Body: strings.NewReader(content),
	})
	must(t, err)
}

func getObject(t *testing.T, p *process, key string) string {
	t.Helper()
	out, err := s3Client(p).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("lake"), Key: aws.String(key)})
	must(t, err)
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	must(t, err)
	return string(b)
}

func writePoint(t *testing.T, p *process, line string) {
	t.Helper()
	resp, err := http.Post(p.Influx.URL+"/api/v2/write?precision=ns&bucket="+p.Influx.Database+"/autogen",
		"text/plain", strings.NewReader(line))
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("write: status %d", resp.StatusCode)
	}
}

// queryPoints gives all points as Flux's annotated CSV.
func queryPoints(t *testing.T, p *process) string {
	t.Helper()
	flux := `from(bucket: "` + p.Influx.Database + `/autogen") |> range(start: 2023-01-01T00:00:00Z, stop: 2024-01-01T00:00:00Z)`
	body, err := json.Marshal(map[string]any{"query": flux, "type": "flux"})
	must(t, err)
	resp, err := http.Post(p.Influx.URL+"/api/v2/query", "application/json", bytes.NewReader(body))
	must(t, err)
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("query: status %d: %s", resp.StatusCode, out)
	}
	return string(out)
}
