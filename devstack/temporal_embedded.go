//go:build !notemporal

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
	"google.golang.org/protobuf/types/known/durationpb"
)

// clusterName is the server's only cluster.
const clusterName = "active"

// internalServices are the server's parts beside its frontend. Each listens on
// a port of its own, picked at each start.
var internalServices = []primitives.ServiceName{
	primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
}

// startEmbedded runs the Temporal server over the file <data>/temporal/
// temporal.db, and its web UI.
func (s *stack) startEmbedded(context.Context) ([]component, error) {
	dir := filepath.Join(s.data, "temporal")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	database := sqliteConfig(filepath.Join(dir, "temporal.db"))
	if err := s.prepareDatabase(database); err != nil {
		return nil, err
	}
	id, err := clusterID(dir)
	if err != nil {
		return nil, err
	}
	cfg, hosts, err := s.serverConfig(database, id)
	if err != nil {
		return nil, err
	}
	values := dynamicconfig.StaticClient{}
	for _, v := range serverSettings() {
		values[dynamicconfig.MakeKey(v.key)] = v.value
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithDynamicConfigClient(values),
		temporal.WithLogger(log.NewZapLogger(s.log.Named("temporal"))),
	)
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, err
	}
	address := loopback(s.ports.Temporal)
	conn, err := dialTemporal(address)
	if err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	up := []component{{
		name: "temporal", source: "embedded", address: address, check: checkTemporal(conn),
		stop: func(context.Context) error { return errors.Join(conn.Close(), server.Stop()) },
	}}
	if s.noUI {
		return up, nil
	}
	return append(up, s.startUI(address)), nil
}

// sqliteConfig is the server's store of everything.
func sqliteConfig(file string) *config.SQL {
	attributes := databaseSettings()
	attributes["mode"] = "rwc"
	return &config.SQL{PluginName: sqliteplugin.PluginName, DatabaseName: file, ConnectAttributes: attributes}
}

// prepareDatabase creates the schema in a new file and the namespace if it is
// missing. The schema goes into a file of another name first: a start that is
// killed half-way must not leave half a schema to the next one.
func (s *stack) prepareDatabase(database *config.SQL) error {
	_, err := os.Stat(database.DatabaseName)
	if errors.Is(err, fs.ErrNotExist) {
		err = createDatabase(database.DatabaseName)
	}
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	attributes := make(map[string]enumspb.IndexedValueType, len(s.searchAttributes))
	for name, typ := range s.searchAttributes {
		attributes[name] = attributeTypes[typ]
	}
	namespace, err := sqlite.NewNamespaceConfig(clusterName, s.namespace, false, attributes)
	if err != nil {
		return fmt.Errorf("namespace %s: %w", s.namespace, err)
	}
	namespace.Detail.Config.Retention = durationpb.New(s.retention)
	if err := sqlite.CreateNamespaces(database, namespace); err != nil {
		return fmt.Errorf("namespace %s: %w", s.namespace, err)
	}
	return nil
}

func createDatabase(file string) error {
	unfinished := file + ".new"
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(unfinished + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	whole := sqliteConfig(unfinished)
	whole.ConnectAttributes["journal_mode"] = "delete" // one file, to be renamed
	if err := sqlite.SetupSchema(whole); err != nil {
		return err
	}
	return os.Rename(unfinished, file)
}

// clusterID gives the id that the data folder's cluster got at its first
// start: the server refuses a database of another cluster.
func clusterID(dir string) (string, error) {
	path := filepath.Join(dir, "cluster.json")
	var cluster struct {
		ID string `json:"id"`
	}
	err := readJSON(path, &cluster)
	if errors.Is(err, fs.ErrNotExist) {
		cluster.ID = randomUUID()
		err = writeJSON(path, cluster, 0o644)
	}
	return cluster.ID, err
}

// serverConfig is one host of each service, all on loopback.
func (s *stack) serverConfig(database *config.SQL, id string) (
	*config.Config, map[primitives.ServiceName]static.Hosts, error,
) {
	frontend := loopback(s.ports.Temporal)
	listen := map[primitives.ServiceName]int{primitives.FrontendService: s.ports.Temporal}
	for _, name := range internalServices {
		port, err := s.picker.choose("temporal "+string(name), 0, 0)
		if err != nil {
			return nil, nil, err
		}
		listen[name] = port
	}
	// Without it the server warns at each start that Nexus is half there.
	http, err := s.picker.choose("temporal http", 0, 0)
	if err != nil {
		return nil, nil, err
	}
	services := map[string]config.Service{}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for name, port := range listen {
		rpc := config.RPC{GRPCPort: port, BindOnIP: "127.0.0.1"}
		if name == primitives.FrontendService {
			rpc.HTTPPort = http
		}
		services[string(name)] = config.Service{RPC: rpc}
		hosts[name] = static.SingleLocalHost(loopback(port))
	}
	return &config.Config{
		Global: config.Global{Membership: config.Membership{
			MaxJoinDuration: 30 * time.Second, BroadcastAddress: "127.0.0.1",
		}},
		Persistence: config.Persistence{
			DefaultStore:     sqliteplugin.PluginName,
			VisibilityStore:  sqliteplugin.PluginName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{sqliteplugin.PluginName: {SQL: database}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
				Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend, ClusterID: id,
			}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            services,
		Archival: config.Archival{
			History:    config.HistoryArchival{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchival{State: config.ArchivalDisabled},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: config.ArchivalDisabled},
		}},
		PublicClient: config.PublicClient{HostPort: frontend},
	}, hosts, nil
}

// startUI serves the web UI of the frontend at address.
func (s *stack) startUI(address string) component {
	ui := uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host:                "127.0.0.1",
		Port:                s.ports.UI,
		TemporalGRPCAddress: address,
		EnableUI:            true,
		CORS:                uiconfig.CORS{CookieInsecure: true}, // plain HTTP on loopback
		HideLogs:            true,
		DisableNewsFetch:    true,
		DefaultNamespace:    s.namespace,
	}))
	ended := make(chan error, 1)
	go func() {
		ended <- ui.Start()
		close(ended)
	}()
	url := "http://" + loopback(s.ports.UI)
	return component{
		name: "ui", source: "embedded", address: url, check: checkHTTP(url), ended: ended,
		stop: func(context.Context) error { ui.Stop(); return nil },
	}
}
