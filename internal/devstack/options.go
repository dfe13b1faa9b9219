package devstack

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options says what stack to start. Only DataDir is required.
type Options struct {
	// DataDir keeps everything that lasts: a second start with the same folder
	// continues where the first ended, at the same ports and with the same S3
	// keys. One stack at a time may use it.
	DataDir string
	// Namespace is the Temporal namespace; default "default".
	Namespace string
	// Retention is how long closed workflows are kept; default 72 h.
	Retention time.Duration
	// SearchAttributes are registered in the namespace: name to type, one of
	// Keyword, KeywordList, Text, Int, Double, Bool, Datetime. New ones are
	// added to a namespace that exists.
	SearchAttributes map[string]string
	// Buckets are created if they don't exist; default "leanloop".
	Buckets []string
	// InfluxDatabase is created with its retention policy "autogen"; default
	// "leanloop".
	InfluxDatabase string
	// EventWebhook is the URL that receives S3 events (best effort: an event
	// is a hint, a listing is the truth). Empty means that none are sent.
	EventWebhook string
	// Temporal (host:port), S3 and Influx (URLs) name servers that run
	// already: those are used and only the rest is started. An empty Temporal
	// means the one that TEMPORAL_ADDRESS names, if any.
	Temporal, S3, Influx string
	// TemporalCLI is the Temporal CLI whose `server start-dev` serves instead
	// of the embedded server, so that this need not be built. Empty means the
	// one that LEANLOOP_TEMPORAL_CLI names or else the `temporal` on the PATH,
	// if any; "none" means never.
	TemporalCLI string
	// Ports are fixed ports; 0 means the one used before on this folder if it
	// is free, else any free one.
	Ports Ports
	// Log receives lines that say what takes time (building); nil drops them.
	Log io.Writer
	// Stderr receives the program's warnings. Nil, or Detach, means the file
	// devstack.log in DataDir.
	Stderr io.Writer
	// Detach lets the stack outlive this process. Otherwise it ends when this
	// process does, however it does.
	Detach bool
	// NoUI and NoInflux leave that component out, for tests that don't need it.
	NoUI, NoInflux bool
}

// Ports are TCP ports on 127.0.0.1.
type Ports struct {
	Temporal, UI, S3, Influx, Health int
}

// logFile is where the program's warnings go unless Options.Stderr is set.
const logFile = "devstack.log"

// searchAttributeTypes are the types that Temporal knows.
var searchAttributeTypes = []string{"Bool", "Datetime", "Double", "Int", "Keyword", "KeywordList", "Text"}

func (o Options) validate() error {
	if o.DataDir == "" {
		return errors.New("devstack options: DataDir is empty: name the folder that keeps the stack's state")
	}
	for _, name := range slices.Sorted(maps.Keys(o.SearchAttributes)) {
		if typ := o.SearchAttributes[name]; name == "" || !slices.Contains(searchAttributeTypes, typ) {
			return fmt.Errorf("devstack options: search attribute %q has type %q, not one of %s",
				name, typ, strings.Join(searchAttributeTypes, ", "))
		}
	}
	for _, b := range o.Buckets {
		if len(b) < 3 {
			return fmt.Errorf("devstack options: bucket %q has %d characters < 3", b, len(b))
		}
	}
	return nil
}

// args gives the program's command line. cli is the resolved Temporal CLI,
// empty for the embedded server.
func (o Options) args(cli string) ([]string, error) {
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return nil, fmt.Errorf("devstack data folder %q: %w", o.DataDir, err)
	}
	args := []string{"--data", dir}
	text := func(flag, value string) {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	port := func(flag string, value int) {
		if value != 0 {
			args = append(args, flag, strconv.Itoa(value))
		}
	}
	text("--namespace", o.Namespace)
	if o.Retention != 0 {
		text("--retention", o.Retention.String())
	}
	for _, name := range slices.Sorted(maps.Keys(o.SearchAttributes)) {
		text("--search-attribute", name+"="+o.SearchAttributes[name])
	}
	for _, b := range o.Buckets {
		text("--bucket", b)
	}
	text("--influx-database", o.InfluxDatabase)
	text("--event-webhook", o.EventWebhook)
	text("--temporal", o.Temporal)
	text("--s3", o.S3)
	text("--influx", o.Influx)
	if o.Temporal == "" {
		if cli == "" {
			cli = noCLI
		}
		text("--temporal-cli", cli)
	}
	port("--temporal-port", o.Ports.Temporal)
	port("--ui-port", o.Ports.UI)
	port("--s3-port", o.Ports.S3)
	port("--influx-port", o.Ports.Influx)
	port("--health-port", o.Ports.Health)
	if o.NoUI {
		args = append(args, "--no-ui")
	}
	if o.NoInflux {
		args = append(args, "--no-influx")
	}
	if !o.Detach {
		args = append(args, "--parent-pipe")
	}
	return args, nil
}
