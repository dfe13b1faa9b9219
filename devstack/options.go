package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// noCLI as --temporal-cli means the embedded server whatever is on the PATH.
const noCLI = "none"

// options are what the flags and the environment ask for.
type options struct {
	data             string // absolute
	namespace        string
	retention        time.Duration
	searchAttributes map[string]string // name to type
	buckets          []string
	influxDatabase   string
	eventWebhook     string
	temporal         string // host:port of a running server
	s3, influx       string // URLs of running servers
	temporalCLI      string // absolute path, or "" for the embedded server
	ports            ports
	parentPipe       bool
	noUI, noInflux   bool

	// For components that run already.
	s3Keys      credentials
	s3Region    string
	influxToken string
}

// minRetention is the shortest that a Temporal namespace takes.
const minRetention = time.Hour

// parseOptions reads the command line. Usage goes to w.
func parseOptions(args []string, getenv func(string) string, w io.Writer) (options, error) {
	o := options{searchAttributes: map[string]string{}}
	fs := flag.NewFlagSet("devstack", flag.ContinueOnError)
	fs.SetOutput(w)
	var cli string
	fs.StringVar(&o.data, "data", "", "`folder` that keeps all state (required)")
	fs.StringVar(&o.namespace, "namespace", "default", "Temporal namespace, created if missing")
	fs.DurationVar(&o.retention, "retention", 72*time.Hour, "how long closed workflows are kept")
	fs.Func("search-attribute", "`Name=Type` to register in the namespace; repeatable", o.addSearchAttribute)
	fs.Func("bucket", "S3 bucket `name`, created if missing; repeatable (default leanloop)", o.addBucket)
	fs.StringVar(&o.influxDatabase, "influx-database", "leanloop", "InfluxDB database, created if missing")
	fs.StringVar(&o.eventWebhook, "event-webhook", "", "`URL` that S3 events are posted to")
	fs.StringVar(&o.temporal, "temporal", getenv("TEMPORAL_ADDRESS"), "`host:port` of a running Temporal server to use")
	fs.StringVar(&o.s3, "s3", "", "`URL` of a running S3 server to use; keys in its user info or AWS_ACCESS_KEY_ID")
	fs.StringVar(&o.influx, "influx", "", "`URL` of a running InfluxDB to use; its token in INFLUX_TOKEN")
	fs.StringVar(&cli, "temporal-cli", "", "Temporal CLI whose server start-dev is used; "+noCLI+" never (default: the one on the PATH)")
	fs.IntVar(&o.ports.Temporal, "temporal-port", 0, "port of the Temporal frontend; 0: the last one, or a free one")
	fs.IntVar(&o.ports.UI, "ui-port", 0, "port of the Temporal web UI")
	fs.IntVar(&o.ports.S3, "s3-port", 0, "port of the S3 server")
	fs.IntVar(&o.ports.Influx, "influx-port", 0, "port of InfluxDB")
	fs.IntVar(&o.ports.Health, "health-port", 0, "port of the health endpoint")
	fs.BoolVar(&o.parentPipe, "parent-pipe", false, "end when the standard input does")
	fs.BoolVar(&o.noUI, "no-ui", false, "run without the Temporal web UI")
	fs.BoolVar(&o.noInflux, "no-influx", false, "run without InfluxDB")
	if err := fs.Parse(args); err != nil {
		return options{}, err
	}
	if fs.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q: every option is a flag", fs.Arg(0))
	}
	if len(o.buckets) == 0 {
		o.buckets = []string{"leanloop"}
	}
	o.s3Keys = credentials{AccessKey: getenv("AWS_ACCESS_KEY_ID"), SecretKey: getenv("AWS_SECRET_ACCESS_KEY")}
	o.s3Region = defaultRegion
	if o.s3 != "" && getenv("AWS_REGION") != "" {
		o.s3Region = getenv("AWS_REGION")
	}
	o.influxToken = getenv("INFLUX_TOKEN")
	if err := o.findCLI(cli); err != nil {
		return options{}, err
	}
	return o, o.finish()
}

// findCLI resolves the Temporal CLI; it is needed only where no server runs.
func (o *options) findCLI(name string) error {
	if o.temporal != "" || name == noCLI {
		return nil
	}
	optional := name == ""
	if optional {
		name = "temporal"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if optional {
			return nil
		}
		return fmt.Errorf("--temporal-cli: %w", err)
	}
	o.temporalCLI, err = filepath.Abs(path)
	return err
}

// finish checks what was asked for and makes paths absolute: versitygw changes
// the working directory.
func (o *options) finish() error {
	if o.data == "" {
		return errors.New("--data is missing: name the folder that keeps the stack's state")
	}
	abs, err := filepath.Abs(o.data)
	if err != nil {
		return fmt.Errorf("--data %q: %w", o.data, err)
	}
	o.data = abs
	if o.retention < minRetention {
		return fmt.Errorf("--retention: %s < %s", o.retention, minRetention)
	}
	if o.namespace == "" {
		return errors.New("--namespace is empty")
	}
	if o.temporal != "" {
		if _, _, err := net.SplitHostPort(o.temporal); err != nil {
			return fmt.Errorf("--temporal %q: want host:port: %w", o.temporal, err)
		}
	}
	if o.s3 != "" {
		u, err := httpURL("--s3", o.s3)
		if err != nil {
			return err
		}
		if u.User != nil {
			o.s3Keys.AccessKey = u.User.Username()
			o.s3Keys.SecretKey, _ = u.User.Password()
			u.User = nil
		}
		o.s3 = u.String()
	}
	for flag, value := range map[string]string{"--influx": o.influx, "--event-webhook": o.eventWebhook} {
		if value == "" {
			continue
		}
		if _, err := httpURL(flag, value); err != nil {
			return err
		}
	}
	return o.ports.validate()
}

// httpURL parses an http(s) URL that has a host.
func httpURL(flag, value string) (*url.URL, error) {
	u, err := url.Parse(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%s %q: want http://host:port", flag, value)
	}
	return u, nil
}

func (o *options) addSearchAttribute(value string) error {
	name, typ, ok := strings.Cut(value, "=")
	if !ok || name == "" {
		return errors.New("want Name=Type")
	}
	if _, known := attributeTypes[typ]; !known {
		return fmt.Errorf("type %q is not one of %s", typ,
			strings.Join(slices.Sorted(maps.Keys(attributeTypes)), ", "))
	}
	if before, twice := o.searchAttributes[name]; twice && before != typ {
		return fmt.Errorf("%s is given as %s and as %s", name, before, typ)
	}
	o.searchAttributes[name] = typ
	return nil
}

func (o *options) addBucket(name string) error {
	if len(name) < 3 || len(name) > 63 {
		return fmt.Errorf("%q has %d characters, not 3 to 63", name, len(name))
	}
	if !slices.Contains(o.buckets, name) {
		o.buckets = append(o.buckets, name)
	}
	return nil
}
