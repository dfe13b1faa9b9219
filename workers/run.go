package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/inference/remote"
	"github.com/leanloop/leanloop/internal/intake"
	"github.com/leanloop/leanloop/internal/notify"
	"github.com/leanloop/leanloop/internal/notify/slack"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/onnx/hosts"
	"github.com/leanloop/leanloop/internal/temporalx"
	"github.com/leanloop/leanloop/internal/timeseries"
	"github.com/leanloop/leanloop/internal/training/gpu"
	"github.com/leanloop/leanloop/internal/training/setup"
	"github.com/leanloop/leanloop/workflows"
)

// lightSlots bounds light activities: small reads and writes, so many at once do no harm.
const lightSlots = 50

// outboxEvery is the time between looks for messages that an outage of Slack held back.
const outboxEvery = 20 * time.Second

// run serves until ctx ends, then lets running activities finish within the stop timeout.
func run(ctx context.Context, c *config, log *slog.Logger) error {
	temporal, err := temporalx.Dial(ctx, c.Temporal, log)
	if err != nil {
		return err
	}
	defer temporal.Close()
	s3, err := objectstore.NewS3(ctx, objectstore.S3Config{})
	if err != nil {
		return err
	}
	store := s3.Bucket(c.Bucket)
	if err := objectstore.Probe(ctx, store); err != nil {
		return fmt.Errorf("bucket %s: %w", c.Bucket, err)
	}
	a, err := newActivities(c, store, s3, temporal, log)
	if err != nil {
		return err
	}
	if c.has(roleTrain) {
		if err := a.train(ctx, c, gpu.SMI{}, log); err != nil {
			return err
		}
	}
	fatal := make(chan error, 1)
	workers, queues, err := a.workers(c, temporal, func(err error) {
		select {
		case fatal <- err:
		default: // one is enough to end
		}
	})
	if err != nil {
		return err
	}
	var sweeper *intake.Sweeper
	if c.has(roleLifecycle) {
		sweeper = intake.New(store, s3, sender(temporal), intake.Config{Every: c.Sweep}, log)
	}
	var app *slack.App
	if c.has(roleSlack) {
		if app, err = newSlackApp(c.Slack, store, temporal, log); err != nil {
			return err
		}
	}
	ready := &atomic.Bool{}
	server, err := listen(c.Listen, ready, sweeper, app, log)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	var stopping sync.WaitGroup // all at once: a machine that is taken away doesn't wait for one after the other
	defer stopping.Wait()
	for _, w := range workers {
		if err := w.Start(); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		defer stopping.Go(w.Stop)
	}
	if sweeper != nil {
		go sweeper.Run(ctx)
	}
	beating, quiet := context.WithCancel(ctx)
	defer quiet()
	if app != nil {
		stopping.Go(func() { app.Run(beating) })
	}
	if a.outbox != nil && c.has(roleLifecycle) {
		stopping.Go(func() { a.outbox.Run(beating, outboxEvery) })
	}
	stopping.Go(func() { a.beat(beating, c, store, queues, log) })
	ready.Store(true)
	log.Info("worker ready", "id", c.ID, "roles", c.Roles, "listen", c.Listen, "bucket", c.Bucket)
	select {
	case <-ctx.Done():
		ready.Store(false)
		log.Info("stopping", "within", c.Stop)
		return nil
	case err := <-fatal:
		return fmt.Errorf("worker: %w", err)
	}
}

// host is every activity of this project, with its ports.
type host struct {
	planner   *activities.Planner
	runs      *activities.Runs
	ingester  *activities.Ingester
	snapshots *activities.Snapshots
	trainer   *activities.Trainer
	searches  *activities.Searches
	evaluator *activities.Evaluator
	registrar *activities.Registrar
	traffic   *activities.Traffic
	measurer  *activities.Measurer
	monitors  *activities.Monitors
	messenger *activities.Messenger
	fleet     *activities.Fleet

	outbox   *notify.Outbox // nil without Slack
	trainers *trainers      // nil without the role train
}

// train lets the host's trainer run on this machine's slots.
func (h *host) train(ctx context.Context, c *config, smi gpu.SMI, log *slog.Logger) error {
	t, err := newTrainers(ctx, c, smi, log)
	if err != nil {
		return err
	}
	log.Info("trains", "on", t.offer.String(), "queues", len(t.queues))
	h.trainers, h.trainer.Slots, h.trainer.GPUs.Worker = t, t.desk.Claim, c.ID
	if t.seen {
		h.trainer.GPUs.Sample = smi.Samples
	}
	return nil
}

func newActivities(c *config, store objectstore.Store, landing objectstore.Buckets, temporal client.Client, log *slog.Logger) (*host, error) {
	servers, err := remote.New(remote.Config{Hosts: c.RemoteHosts})
	if err != nil {
		return nil, fmt.Errorf("--remote-hosts: %w", err)
	}
	lake := &activities.Lake{
		Store: store, Landing: landing, Scratch: c.Scratch, Now: time.Now, Build: buildOf(debug.ReadBuildInfo()), Loader: &inference.Loader{Remote: servers, ONNX: hosts.New(c.ONNX)},
		Environments: &setup.Cache{Folder: either(c.Environments, c.defaultEnvironments()), MaxBytes: int64(c.EnvironmentBytes)},
	}
	notifier, outbox, err := newNotifier(c, store, log)
	if err != nil {
		return nil, err
	}
	link, err := runURL(c, log)
	if err != nil {
		return nil, err
	}
	supervisor, err := supervisorCommand()
	if err != nil {
		return nil, err
	}
	secrets := trainerSecrets(os.LookupEnv)
	h := &host{
		planner:   &activities.Planner{Lake: lake},
		ingester:  &activities.Ingester{Lake: lake, Bucket: c.Bucket},
		snapshots: &activities.Snapshots{Lake: lake},
		trainer:   &activities.Trainer{Lake: lake, Secrets: secrets, Supervisor: supervisor, Grace: c.TrainGrace},
		searches:  &activities.Searches{Lake: lake},
		evaluator: &activities.Evaluator{Lake: lake, Programs: activities.Programs{Secrets: secrets, Supervisor: supervisor}},
		registrar: &activities.Registrar{Lake: lake},
		traffic:   &activities.Traffic{Lake: lake, Driver: &activities.Driver{Lake: lake, Secrets: secrets, Supervisor: supervisor}},
		measurer:  &activities.Measurer{Lake: lake, Targets: targetMetrics(secrets)},
		monitors:  &activities.Monitors{Lake: lake, Bucket: c.Bucket},
		messenger: &activities.Messenger{Lake: lake, Notifier: notifier, RunURL: link},
	}
	h.outbox = outbox
	h.fleet = &activities.Fleet{Lake: lake, Queues: temporalx.Queues{Client: temporal}}
	h.runs = &activities.Runs{Lake: lake, Executions: temporalx.Executions{Client: temporal}, Traffic: h.traffic}
	if c.Influx.URL != "" {
		metrics, err := timeseries.NewInflux(c.Influx)
		if err != nil {
			return nil, err
		}
		h.ingester.Metrics, h.measurer.Metrics, h.monitors.Metrics, h.trainer.GPUs.Metrics = metrics, metrics, metrics, metrics
	}
	return h, nil
}

// buildOf names what this binary was built from.
func buildOf(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return ""
	}
	build := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" || s.Key == "vcs.modified" && s.Value == "true" {
			build += " " + s.Key + "=" + s.Value
		}
	}
	return build
}

// newNotifier tells people in the log, and in Slack where there is a token: then what Slack can't take waits in the outbox.
func newNotifier(c *config, store objectstore.Store, log *slog.Logger) (notify.Notifier, *notify.Outbox, error) {
	if c.Slack.Token == "" {
		return notify.NewLog(log), nil, nil
	}
	slack, err := notify.NewSlack(notify.SlackConfig{Token: c.Slack.Token, Channel: c.Slack.Channel, APIURL: c.Slack.API, Mute: !c.Slack.asks(), Store: store})
	if err != nil {
		return nil, nil, err
	}
	outbox := notify.NewOutbox(slack, store, time.Now, log)
	all, err := notify.NewMulti(notify.NewLog(log), outbox)
	return all, outbox, err
}

// runURL links to a workflow in the Temporal UI, in the namespace that the worker's client is in; nil without a UI.
func runURL(c *config, log *slog.Logger) (func(string) string, error) {
	if c.UIURL == "" {
		return nil, nil
	}
	o, err := temporalx.Options(c.Temporal, log)
	if err != nil {
		return nil, err
	}
	namespace := either(o.Namespace, client.DefaultNamespace)
	return func(id string) string {
		return fmt.Sprintf("%s/namespaces/%s/workflows/%s", c.UIURL, url.PathEscape(namespace), url.PathEscape(id))
	}, nil
}

// workers makes one worker for each task queue of the roles, and names the queues.
func (h *host) workers(c *config, temporal client.Client, fatal func(error)) (all []worker.Worker, queues []string, err error) {
	if c.has(roleLifecycle) {
		w := worker.New(temporal, workflows.QueueLifecycle, temporalx.WorkerOptions(lightSlots, c.Stop, fatal))
		workflows.Register(w)
		for _, a := range []any{h.planner, h.runs, h.ingester, h.registrar, h.traffic, h.measurer, h.messenger, h.fleet, h.searches} {
			w.RegisterActivity(a)
		}
		all, queues = append(all, w), append(queues, workflows.QueueLifecycle)
	}
	if c.has(roleData) {
		w := worker.New(temporal, workflows.QueueData, dataOptions(c.DataSlots, c.Stop, fatal))
		for _, a := range []any{h.ingester, h.snapshots, h.evaluator, h.registrar, h.monitors, h.searches} {
			w.RegisterActivity(a)
		}
		all, queues = append(all, w), append(queues, workflows.QueueData)
	}
	if c.has(roleTrain) {
		ws, err := h.trainers.workers(c, temporal, h.trainer, fatal)
		if err != nil {
			return nil, nil, err
		}
		all, queues = append(all, ws...), append(queues, h.trainers.queues...)
	}
	return all, queues, nil
}

// dataOptions are those of a queue that carries activities only.
func dataOptions(slots int, stop time.Duration, fatal func(error)) worker.Options {
	o := temporalx.WorkerOptions(slots, stop, fatal)
	o.DisableWorkflowWorker = true
	return o
}

// sender tells a model's entity of a landed file, starting the entity if it doesn't run.
func sender(temporal client.Client) intake.Sender {
	return func(ctx context.Context, l intake.Landed) error {
		o := activities.Object{
			Bucket: l.Bucket, Key: l.Object.Key, ETag: l.Object.ETag, VersionID: l.Object.VersionID, Size: l.Object.Size, Modified: l.Object.Modified,
		}
		t := activities.Trigger{Kind: activities.TriggerData, Key: o.Identity(), Object: &o, Via: "landing", At: time.Now().UTC()}
		_, err := temporal.SignalWithStartWorkflow(ctx, workflows.ModelID(l.Model), workflows.SignalTrigger, t,
			workflows.ModelOptions(l.Model), workflows.TypeModel, workflows.ModelInput{Model: l.Model})
		return err
	}
}

// listen serves health, S3 events, and what Slack sends by HTTP.
func listen(address string, ready *atomic.Bool, sweeper *intake.Sweeper, app *slack.App, log *slog.Logger) (*http.Server, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	if sweeper != nil {
		mux.Handle("/events/s3", intake.Handler(sweeper, log))
	}
	if app != nil {
		mux.Handle(slackPath, app)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for health and events: %w", err)
	}
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("health listener ended", "error", err)
		}
	}()
	return s, nil
}

// askHealth is for container health checks: the image has no other client.
func askHealth(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, res.Status)
	}
	return nil
}
