// Package temporalx is how this project's processes talk to Temporal: one way to connect, one set of worker options,
// structured logs. Nothing but it and testkit imports the Temporal SDK under internal/.
package temporalx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
)

// Connection names a Temporal server beyond what the environment and the profile say; empty fields keep theirs.
type Connection struct {
	Address   string
	Namespace string
	Profile   string
	Identity  string
	// Plain is a server that was started for this purpose on this machine: neither profile nor environment is asked,
	// whose keys and certificates are for another.
	Plain bool
}

// Options gathers a client's options: profile file, then TEMPORAL_* variables, then c.
func Options(c Connection, logger *slog.Logger) (client.Options, error) {
	if c.Plain {
		return client.Options{HostPort: c.Address, Namespace: c.Namespace, Identity: c.Identity, Logger: log.NewStructuredLogger(logger)}, nil
	}
	o, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{ConfigFileProfile: c.Profile})
	if err != nil {
		return o, fmt.Errorf("temporal configuration: %w", err)
	}
	if c.Address != "" {
		o.HostPort = c.Address
	}
	if c.Namespace != "" {
		o.Namespace = c.Namespace
	}
	if c.Identity != "" {
		o.Identity = c.Identity
	}
	o.Logger = log.NewStructuredLogger(logger)
	return o, nil
}

// Dial connects and checks that the server answers, within ten seconds.
func Dial(ctx context.Context, c Connection, logger *slog.Logger) (client.Client, error) {
	o, err := Options(c, logger)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	address := o.HostPort
	if address == "" {
		address = client.DefaultHostPort
	}
	t, err := client.DialContext(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("temporal at %s doesn't answer: %w (TEMPORAL_ADDRESS names another; `starter dev` starts one)", address, err)
	}
	return t, nil
}

// WorkerOptions bound what one worker does at once. slots is the number of activities; fatal is told of an error that
// ended the worker.
func WorkerOptions(slots int, stop time.Duration, fatal func(error)) worker.Options {
	return worker.Options{
		MaxConcurrentActivityExecutionSize: slots,
		WorkerStopTimeout:                  stop,
		OnFatalError:                       fatal,
	}
}

// Executions answers whether workflows are open, by Temporal.
type Executions struct {
	Client client.Client
}

// Running reports whether a workflow with this id is open; one that isn't known isn't.
func (e Executions) Running(ctx context.Context, id string) (bool, error) {
	d, err := e.Client.DescribeWorkflowExecution(ctx, id, "")
	if _, missing := errors.AsType[*serviceerror.NotFound](err); missing {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}

// EnsureSearchAttributes adds those of the wanted attributes (name to type, such as Keyword) that the namespace lacks. It
// is for servers that a person started for themselves; a cluster's are its administrator's.
func EnsureSearchAttributes(ctx context.Context, c client.Client, namespace string, wanted map[string]string) error {
	have, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return fmt.Errorf("search attributes: %w", err)
	}
	missing := map[string]enumspb.IndexedValueType{}
	for name, kind := range wanted {
		if _, known := have.GetCustomAttributes()[name]; known {
			continue
		}
		if missing[name], err = enumspb.IndexedValueTypeFromString(kind); err != nil {
			return fmt.Errorf("search attribute %s: %w", name, err)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	if err != nil {
		return fmt.Errorf("add search attributes: %w", err)
	}
	return nil
}
