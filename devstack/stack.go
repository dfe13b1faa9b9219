package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sync/errgroup"
)

// stopLimit is how long a stop may take before the process ends anyway. All
// state is in write-ahead logs by then.
const stopLimit = 5 * time.Second

// component is one server of the stack.
type component struct {
	name    string // "temporal", "ui", "s3", "influx"
	source  string // "embedded", "cli", or "external" for one that ran already
	address string
	// check gives nil if the component answers.
	check func(context.Context) error
	// stop ends it and waits; nil for an external one.
	stop func(context.Context) error
	// ended yields a value when it ends without having been asked to; nil if
	// that can't be seen.
	ended <-chan error
}

// ready is the line that the program prints when everything answers.
type ready struct {
	Temporal struct {
		Address   string `json:"address"`
		Namespace string `json:"namespace"`
		UI        string `json:"ui"`
	} `json:"temporal"`
	S3 struct {
		Endpoint string `json:"endpoint"`
		Region   string `json:"region"`
		credentials
		Buckets []string `json:"buckets"`
	} `json:"s3"`
	Influx struct {
		URL      string `json:"url"`
		Database string `json:"database"`
		Token    string `json:"token"`
	} `json:"influx"`
	Health  string   `json:"health"`
	PID     int      `json:"pid"`
	Started []string `json:"started"`
}

// stack is what the start functions of the components share.
type stack struct {
	options
	ports  ports
	picker *picker
	log    *zap.Logger
}

// run starts the stack, prints the ready line on stdout and returns when ctx
// ends (nil) or a component dies (an error that names it).
func run(ctx context.Context, o options, stdout io.Writer) error {
	lock, err := lockData(o.data)
	if err != nil {
		return err
	}
	defer lock.Close()
	defer exitLate(ctx)()

	level := zap.NewAtomicLevelAt(zap.WarnLevel)
	s := &stack{options: o, picker: newPicker(), log: newLogger(os.Stderr, level)}
	previous := loadPorts(o.data)
	if s.ports, err = s.picker.chosen(o, previous); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(o.data, portsName), s.ports, 0o644); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if o.s3 == "" {
		if s.s3Keys, err = loadKeys(o.data); err != nil {
			return fmt.Errorf("s3 keys: %w", err)
		}
	}

	events := newForwarder(o.eventWebhook, s.log)
	defer events.close()
	health := newHealth(s.log)
	if err := health.listen(s.ports.Health, events); err != nil {
		return err
	}
	defer health.close()

	components, err := s.start(ctx)
	defer func() {
		hush(level)
		stopAll(components)
	}()
	if err != nil {
		if ctx.Err() != nil {
			return nil // it was asked to stop while starting
		}
		return err
	}
	health.watch(components)
	if err := s.announce(components, health, stdout); err != nil {
		return err
	}
	defer os.Remove(filepath.Join(o.data, readyName))
	return supervise(ctx, components)
}

// start brings all components up at once. What did start is returned with an
// error too, to be stopped.
func (s *stack) start(ctx context.Context) ([]component, error) {
	var (
		mu         sync.Mutex
		components []component
	)
	group, ctx := errgroup.WithContext(ctx)
	for _, begin := range []func(context.Context) ([]component, error){
		s.startTemporal, s.startS3, s.startInflux,
	} {
		group.Go(func() error {
			up, err := begin(ctx)
			mu.Lock()
			defer mu.Unlock()
			components = append(components, up...)
			return err
		})
	}
	err := group.Wait()
	slices.SortFunc(components, func(a, b component) int { return order(a) - order(b) })
	return components, err
}

// order is the one in which components are named.
func order(c component) int {
	return slices.Index([]string{"temporal", "ui", "s3", "influx"}, c.name)
}

// announce prints the ready line, and leaves it in the data folder for
// commands that are started later.
func (s *stack) announce(components []component, health *health, stdout io.Writer) error {
	var r ready
	r.Temporal.Namespace = s.namespace
	r.S3.Region, r.S3.credentials, r.S3.Buckets = s.s3Region, s.s3Keys, s.buckets
	r.Health, r.PID, r.Started = health.url(), os.Getpid(), []string{}
	for _, c := range components {
		switch c.name {
		case "temporal":
			r.Temporal.Address = c.address
		case "ui":
			r.Temporal.UI = c.address
		case "s3":
			r.S3.Endpoint = c.address
		case "influx":
			r.Influx.URL, r.Influx.Database = c.address, s.influxDatabase
			if c.source == external {
				r.Influx.Token = s.influxToken
			}
		}
		if c.source != external {
			r.Started = append(r.Started, c.name)
		}
	}
	if err := writeJSON(filepath.Join(s.data, readyName), r, 0o600); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := stdout.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("ready line: %w", err)
	}
	return nil
}

// supervise waits for the end of ctx or of any component.
func supervise(ctx context.Context, components []component) error {
	died := make(chan error, len(components))
	for _, c := range components {
		if c.ended == nil {
			continue
		}
		go func() {
			err := <-c.ended
			if err == nil {
				err = errors.New("without an error")
			}
			died <- fmt.Errorf("component %s (%s) ended by itself: %w", c.name, c.source, err)
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-died:
		if ctx.Err() != nil {
			return nil // the stop and the end crossed
		}
		return err
	}
}

// hush silences the servers for the stop: as each loses the others it warns of
// what is meant to happen.
func hush(level zap.AtomicLevel) {
	level.SetLevel(zap.DPanicLevel)
	stdlog.SetOutput(io.Discard)
}

// stopAll ends all components at once.
func stopAll(components []component) {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var wait sync.WaitGroup
	for _, c := range components {
		if c.stop == nil {
			continue
		}
		wait.Go(func() {
			if err := c.stop(ctx); err != nil {
				fmt.Fprintf(os.Stderr, "devstack: stop %s: %v\n", c.name, err)
			}
		})
	}
	wait.Wait()
}

// exitLate ends the process when a stop that ctx began takes longer than
// stopLimit; calling what it returns says that the stop is done.
func exitLate(ctx context.Context) (done func()) {
	finished := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		late := time.NewTimer(stopLimit)
		defer late.Stop()
		select {
		case <-finished:
		case <-late.C:
			fmt.Fprintf(os.Stderr, "devstack: stopped without waiting longer than %s for its components\n", stopLimit)
			os.Exit(0)
		}
	})
	return func() {
		stop()
		close(finished)
	}
}

// newLogger logs warnings and errors as lines of text.
func newLogger(w zapcore.WriteSyncer, level zap.AtomicLevel) *zap.Logger {
	format := zap.NewProductionEncoderConfig()
	format.EncodeTime = zapcore.ISO8601TimeEncoder
	format.EncodeLevel = zapcore.CapitalLevelEncoder
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(format), zapcore.Lock(w), level))
}
