package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Addresses is where a running stack answers, as the devstack program prints
// it: one line of JSON on its standard output once everything is ready.
type Addresses struct {
	Temporal TemporalAddress `json:"temporal"`
	S3       S3Address       `json:"s3"`
	// Influx is zero when the stack runs without InfluxDB.
	Influx InfluxAddress `json:"influx"`
	// Health is the URL that answers 200 while every component works and 503
	// otherwise, with the state of each as JSON.
	Health string `json:"health"`
	// PID is the process id of the devstack program.
	PID int `json:"pid"`
	// Started names the components that the program runs itself, of
	// "temporal", "ui", "s3" and "influx"; the others were running already.
	Started []string `json:"started"`
}

// TemporalAddress is where the Temporal frontend and its web UI answer.
type TemporalAddress struct {
	Address   string `json:"address"` // host:port of the gRPC frontend
	Namespace string `json:"namespace"`
	UI        string `json:"ui"` // URL, empty when no UI runs
}

// S3Address is where the object store answers and who may use it. For a store
// that was running already the keys come from its URL's user info or from
// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and may be empty.
type S3Address struct {
	Endpoint  string   `json:"endpoint"`
	Region    string   `json:"region"`
	AccessKey string   `json:"access_key"`
	SecretKey string   `json:"secret_key"`
	Buckets   []string `json:"buckets"`
}

// InfluxAddress is where InfluxDB answers. Its bucket for the 2.x API is
// "<database>/autogen"; organisation and token are empty.
type InfluxAddress struct {
	URL      string `json:"url"`
	Database string `json:"database"`
	Token    string `json:"token"`
}

// addressesFile is where a running devstack leaves its line of JSON, inside
// its data folder, for commands started later. It is removed at a clean stop.
const addressesFile = "devstack.json"

// ErrNotRunning says that no stack answers for a data folder.
var ErrNotRunning = errors.New("no development stack is running")

// parseAddresses reads the line that the devstack program prints when ready.
func parseAddresses(line []byte) (Addresses, error) {
	var a Addresses
	if err := json.Unmarshal(line, &a); err != nil {
		return Addresses{}, fmt.Errorf("devstack's ready line %q: %w", clip(line, 200), err)
	}
	switch {
	case a.Temporal.Address == "":
		return Addresses{}, fmt.Errorf("devstack's ready line %q: temporal.address is missing", clip(line, 200))
	case a.S3.Endpoint == "":
		return Addresses{}, fmt.Errorf("devstack's ready line %q: s3.endpoint is missing", clip(line, 200))
	case a.Health == "":
		return Addresses{}, fmt.Errorf("devstack's ready line %q: health is missing", clip(line, 200))
	}
	return a, nil
}

// Running gives the addresses of the stack that runs on dataDir, wherever it
// was started from. The error is ErrNotRunning (wrapped, with the reason) when
// none runs, or when the one that did is not answering any more.
func Running(ctx context.Context, dataDir string) (Addresses, error) {
	path := filepath.Join(dataDir, addressesFile)
	line, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Addresses{}, fmt.Errorf("%w on %s: no %s in it", ErrNotRunning, dataDir, addressesFile)
	}
	if err != nil {
		return Addresses{}, fmt.Errorf("addresses of the stack on %s: %w", dataDir, err)
	}
	a, err := parseAddresses(line)
	if err != nil {
		return Addresses{}, fmt.Errorf("%s: %w", path, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Health, nil)
	if err != nil {
		return Addresses{}, fmt.Errorf("%s: health %q: %w", path, a.Health, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return Addresses{}, fmt.Errorf("%w on %s: %w", ErrNotRunning, dataDir, err)
	}
	defer resp.Body.Close()
	var health struct {
		PID int `json:"pid"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&health); err != nil || health.PID != a.PID {
		return Addresses{}, fmt.Errorf("%w on %s: something else answers at %s", ErrNotRunning, dataDir, a.Health)
	}
	return a, nil
}

func clip(b []byte, n int) string {
	if len(b) > n {
		return string(b[:n]) + "..."
	}
	return string(b)
}
