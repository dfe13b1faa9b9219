package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// temporalStartLimit is how long the server may take to serve. It takes about
// a second on an idle machine.
const temporalStartLimit = 2 * time.Minute

// attributeTypes are the types of search attributes, by the names that the
// Temporal CLI uses.
var attributeTypes = map[string]enumspb.IndexedValueType{
	"Bool":        enumspb.INDEXED_VALUE_TYPE_BOOL,
	"Datetime":    enumspb.INDEXED_VALUE_TYPE_DATETIME,
	"Double":      enumspb.INDEXED_VALUE_TYPE_DOUBLE,
	"Int":         enumspb.INDEXED_VALUE_TYPE_INT,
	"Keyword":     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	"KeywordList": enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST,
	"Text":        enumspb.INDEXED_VALUE_TYPE_TEXT,
}

// setting is one dynamic configuration value of the server.
type setting struct {
	key   string
	value any // bool, int or time.Duration's text
}

// serverSettings make the server fast on one machine with few workers. The
// default rate limits of its queue processors put a floor of 100 ms under each
// workflow; one partition needs no forwarding between partitions; teams take
// turns by fairness keys; and a search attribute works as soon as it is added.
func serverSettings() []setting {
	const pollRPS, persistenceQPS = 2000, 50_000
	return []setting{
		{"history.transferProcessorMaxPollRPS", pollRPS},
		{"history.timerProcessorMaxPollRPS", pollRPS},
		{"history.visibilityProcessorMaxPollRPS", pollRPS},
		{"history.outboundProcessorMaxPollRPS", pollRPS},
		{"matching.enableFairness", true},
		{"matching.numTaskqueueReadPartitions", 1},
		{"matching.numTaskqueueWritePartitions", 1},
		{"system.forceSearchAttributesCacheRefreshOnRead", true},
		{"frontend.persistenceMaxQPS", persistenceQPS},
		{"history.persistenceMaxQPS", persistenceQPS},
		{"frontend.enableServerVersionCheck", false},
	}
}

// databaseSettings are the pragmas of its SQLite file. With a write-ahead log
// a kill loses nothing that was acknowledged; a power cut may.
func databaseSettings() map[string]string {
	return map[string]string{"journal_mode": "wal", "synchronous": "normal"}
}

// startTemporal gives the Temporal server and its UI: a running one, the
// CLI's, or the embedded one.
func (s *stack) startTemporal(ctx context.Context) ([]component, error) {
	if s.temporal != "" {
		// It may want certificates, and is not ours to change: whoever connects
		// to it knows how.
		return []component{{name: "temporal", source: external, address: s.temporal, check: checkDial(s.temporal)}}, nil
	}
	begin := s.startEmbedded
	if s.temporalCLI != "" {
		begin = s.startCLI
	}
	up, err := begin(ctx)
	if err != nil {
		return up, fmt.Errorf("temporal: %w", err)
	}
	ctx, done := context.WithTimeout(ctx, temporalStartLimit)
	defer done()
	for _, c := range up {
		if err := await(ctx, c.name, c.check, c.ended); err != nil {
			return up, err
		}
	}
	if err := s.prepareNamespace(ctx, loopback(s.ports.Temporal)); err != nil {
		return up, fmt.Errorf("temporal: %w", err)
	}
	return up, nil
}

// dialTemporal connects to a frontend without TLS; it doesn't wait for it.
func dialTemporal(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// checkTemporal asks the frontend whether it serves.
func checkTemporal(conn *grpc.ClientConn) func(context.Context) error {
	client := healthpb.NewHealthClient(conn)
	return func(ctx context.Context) error {
		answer, err := client.Check(ctx, &healthpb.HealthCheckRequest{
			Service: workflowservice.WorkflowService_ServiceDesc.ServiceName,
		})
		if err != nil {
			return err
		}
		if answer.Status != healthpb.HealthCheckResponse_SERVING {
			return fmt.Errorf("frontend is %s", answer.Status)
		}
		return nil
	}
}

// prepareNamespace makes the namespace's retention and search attributes what
// the configuration says. A server that keeps its state had others before.
func (s *stack) prepareNamespace(ctx context.Context, address string) error {
	conn, err := dialTemporal(address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := s.setRetention(ctx, workflowservice.NewWorkflowServiceClient(conn)); err != nil {
		return fmt.Errorf("namespace %s: %w", s.namespace, err)
	}
	if err := s.addAttributes(ctx, operatorservice.NewOperatorServiceClient(conn)); err != nil {
		return fmt.Errorf("namespace %s: search attributes: %w", s.namespace, err)
	}
	return nil
}

func (s *stack) setRetention(ctx context.Context, client workflowservice.WorkflowServiceClient) error {
	var found *workflowservice.DescribeNamespaceResponse
	// The frontend may serve a moment before it has read its namespaces.
	err := await(ctx, "describe", func(ctx context.Context) (err error) {
		found, err = client.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: s.namespace})
		return err
	}, nil)
	if err != nil {
		return err
	}
	if found.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() == s.retention {
		return nil
	}
	_, err = client.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: s.namespace,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(s.retention)},
	})
	if err != nil {
		return fmt.Errorf("set retention %s: %w", s.retention, err)
	}
	return nil
}

// addAttributes adds the search attributes that are missing. One that exists
// with another type is an error: its type can't be changed.
func (s *stack) addAttributes(ctx context.Context, client operatorservice.OperatorServiceClient) error {
	listed, err := client.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: s.namespace})
	if err != nil {
		return err
	}
	missing := map[string]enumspb.IndexedValueType{}
	var clashes []error
	for _, name := range slices.Sorted(maps.Keys(s.searchAttributes)) {
		want := attributeTypes[s.searchAttributes[name]]
		has, exists := listed.CustomAttributes[name]
		switch {
		case !exists:
			missing[name] = want
		case has != want:
			clashes = append(clashes, fmt.Errorf("%s has type %s already, not %s", name, has, want))
		}
	}
	if len(clashes) > 0 {
		return errors.Join(clashes...)
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = client.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: s.namespace, SearchAttributes: missing,
	})
	return err
}
