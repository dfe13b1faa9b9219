package target

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/leanloop/leanloop/internal/training"
)

// The verbs of a program.
const (
	Deploy = "deploy"
	Weight = "weight"
	Read   = "read"
	Remove = "remove"
)

// exitRefused is the exit code by which a program says that no retry can help.
const exitRefused = 2

// Limits of what a program answers.
const (
	maxAnswer   = 1 << 20 // bytes
	maxVersions = 1000
	maxID       = 256 // bytes
)

// Request is what a program reads on its standard input: one JSON object.
type Request struct {
	Verb     string    `json:"verb"`
	Model    string    `json:"model"`
	Entry    int64     `json:"entry"`    // of the ledger: of two requests the one with the higher entry counts
	Key      string    `json:"key"`      // the same for a repetition
	Deadline time.Time `json:"deadline"` // the program is ended then

	Version    int       `json:"version,omitempty"`  // of deploy and remove
	Artifact   *Artifact `json:"artifact,omitempty"` // of deploy
	Champion   int       `json:"champion,omitempty"` // of weight, and the two below
	Challenger int       `json:"challenger,omitempty"`
	Weight     *float64  `json:"weight,omitempty"` // the challenger's share of one; the champion has the rest
}

// Artifact is a version's files, checked against their digests: a folder that is the program's own and gone after it.
type Artifact struct {
	Digest string   `json:"digest"`
	Folder string   `json:"folder"`
	Files  []string `json:"files"`
}

// Command is a Port that runs a model owner's program for each verb.
type Command struct {
	Model   string
	Argv    []string // the verb comes after it
	Env     map[string]string
	Code    string        // folder beside model.yaml; "": none was packed
	Scratch string        // folder for private ones
	Timeout time.Duration // of one verb
	// Supervisor and Grace are training.Program's.
	Supervisor []string
	Grace      time.Duration
	Now        func() time.Time
	// Fetch writes an artifact's files, verified, into a folder that is there, and names them.
	Fetch func(ctx context.Context, digest, into string) ([]string, error)
}

// answer is what a program prints: the field of its verb, with what it did.
type answer struct {
	Deployed *Version   `json:"deployed"`
	Set      *Weights   `json:"set"`
	Versions *[]Version `json:"versions"`
	Removed  *Version   `json:"removed"`
}

// Deploy implements Port.
func (c *Command) Deploy(ctx context.Context, d Deployment, entry int64) error {
	a, err := c.run(ctx, Request{
		Verb: Deploy, Entry: entry, Version: d.Version, Artifact: &Artifact{Digest: d.Artifact},
		Key: fmt.Sprintf("%s/deploy/%d/%s", c.Model, d.Version, d.Artifact),
	})
	if err == nil && (a.Deployed == nil || a.Deployed.Version != d.Version) {
		err = unclear(Deploy, `{"deployed":{"version":%d}}`, d.Version)
	}
	return err
}

// SetWeights implements Port.
func (c *Command) SetWeights(ctx context.Context, w Weights, entry int64) error {
	a, err := c.run(ctx, Request{
		Verb: Weight, Entry: entry, Champion: w.Champion, Challenger: w.Challenger, Weight: &w.Weight,
		Key: fmt.Sprintf("%s/weight/%d/%d/%d/%g", c.Model, entry, w.Champion, w.Challenger, w.Weight),
	})
	if err == nil && a.Set == nil {
		err = unclear(Weight, `{"set":{"champion":%d,"challenger":%d,"weight":%g}}`, w.Champion, w.Challenger, w.Weight)
	}
	return err
}

// Read implements Port.
func (c *Command) Read(ctx context.Context, entry int64) ([]Version, error) {
	a, err := c.run(ctx, Request{Verb: Read, Entry: entry, Key: fmt.Sprintf("%s/read/%d", c.Model, entry)})
	if err != nil {
		return nil, err
	}
	if a.Versions == nil {
		return nil, unclear(Read, `{"versions":[{"version":1,"weight":1}]}`)
	}
	if err := checkVersions(*a.Versions); err != nil {
		return nil, &Refused{Verb: Read, Err: err}
	}
	return *a.Versions, nil
}

// Remove implements Port.
func (c *Command) Remove(ctx context.Context, version int, entry int64) error {
	a, err := c.run(ctx, Request{Verb: Remove, Entry: entry, Version: version, Key: fmt.Sprintf("%s/remove/%d/%d", c.Model, version, entry)})
	if err == nil && (a.Removed == nil || a.Removed.Version != version) {
		err = unclear(Remove, `{"removed":{"version":%d}}`, version)
	}
	return err
}

func unclear(verb, want string, args ...any) error {
	return &Refused{Verb: verb, Err: fmt.Errorf("its answer isn't "+want, args...)}
}

// checkVersions refuses what no target can hold.
func checkVersions(versions []Version) error {
	if len(versions) > maxVersions {
		return fmt.Errorf("%d versions > %d", len(versions), maxVersions)
	}
	seen := map[int]bool{}
	for _, v := range versions {
		switch {
		case v.Version < 1 || seen[v.Version]:
			return fmt.Errorf("version %d: want each number once, from 1 on", v.Version)
		case math.IsNaN(v.Weight) || v.Weight < 0 || v.Weight > 1:
			return fmt.Errorf("version %d: weight %g isn't within 0 and 1", v.Version, v.Weight)
		case len(v.ID) > maxID || strings.ContainsFunc(v.ID, func(r rune) bool { return !unicode.IsPrint(r) }):
			return fmt.Errorf("version %d: id %.40q: want at most %d printable bytes", v.Version, v.ID, maxID)
		}
		seen[v.Version] = true
	}
	return nil
}

// run runs the program once, in a private folder that is removed after it.
func (c *Command) run(ctx context.Context, r Request) (answer, error) {
	home, err := os.MkdirTemp(c.Scratch, "target-*")
	if err != nil {
		return answer{}, fmt.Errorf("target: %w", err)
	}
	defer func() { _ = os.RemoveAll(home) }()
	if r.Artifact != nil {
		a := *r.Artifact
		a.Folder = filepath.Join(home, "artifact")
		if err := os.Mkdir(a.Folder, 0o700); err != nil {
			return answer{}, fmt.Errorf("target: %w", err)
		}
		if a.Files, err = c.Fetch(ctx, a.Digest, a.Folder); err != nil {
			return answer{}, fmt.Errorf("target: artifact %.12s: %w", a.Digest, err)
		}
		r.Artifact = &a
	}
	r.Model, r.Deadline = c.Model, c.Now().Add(c.Timeout).UTC().Truncate(time.Second) // what every language reads
	input, err := json.Marshal(r)
	if err != nil {
		return answer{}, err
	}
	out, err := training.RunProgram(ctx, training.Program{
		Supervisor: c.Supervisor, Grace: c.Grace, Scratch: home, Argv: append(append([]string(nil), c.Argv...), r.Verb), Dir: c.Code, Home: home,
		Env: c.Env, Input: append(input, '\n'), Timeout: c.Timeout, MaxOutput: maxAnswer,
	})
	if err != nil {
		return answer{}, failure(r.Verb, err)
	}
	a, err := parse(out)
	if err != nil {
		return answer{}, &Refused{Verb: r.Verb, Err: fmt.Errorf("its answer isn't one JSON object: %.200q: %w", training.WithoutSecrets(out, c.Env), err)}
	}
	return a, nil
}

// failure types what a program ended with.
func failure(verb string, err error) error {
	program, failed := errors.AsType[*training.ProgramError](err)
	_, param := errors.AsType[*training.ParamError](err)
	_, output := errors.AsType[*training.OutputError](err)
	if failed && (program.Start != nil || program.Code == exitRefused) || param || output {
		return &Refused{Verb: verb, Err: err}
	}
	return fmt.Errorf("target: %s: %w", verb, err)
}

// parse reads an answer: one JSON object and nothing else.
func parse(out []byte) (a answer, err error) {
	d := json.NewDecoder(bytes.NewReader(out))
	if err = d.Decode(&a); err != nil {
		return answer{}, err
	}
	if _, more := d.Token(); !errors.Is(more, io.EOF) {
		return answer{}, errors.New("something follows it")
	}
	return a, nil
}
