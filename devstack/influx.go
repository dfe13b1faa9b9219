package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	influxd "github.com/influxdata/influxdb/cmd/influxd/run"
)

// influxVersion is the version that the server says it is: clients choose
// their dialect by it.
const influxVersion = "1.8.10"

const influxStartLimit = time.Minute

// startInflux runs InfluxDB over the folder <data>/influx and creates the
// database.
func (s *stack) startInflux(ctx context.Context) ([]component, error) {
	switch {
	case s.noInflux:
		return nil, nil
	case s.influx != "":
		return []component{{name: "influx", source: external, address: s.influx, check: checkHTTP(s.influx + "/ping")}}, nil
	}
	address := loopback(s.ports.Influx)
	server, err := influxd.NewServer(influxConfig(filepath.Join(s.data, "influx"), address), &influxd.BuildInfo{Version: influxVersion})
	if err != nil {
		return nil, fmt.Errorf("influx: %w", err)
	}
	server.Logger = s.log.Named("influx")
	if err := server.Open(); err != nil {
		_ = server.Close()
		return nil, fmt.Errorf("influx: %w", err)
	}
	c := component{
		name: "influx", source: "embedded", address: "http://" + address,
		check: checkHTTP("http://" + address + "/ping"),
		ended: server.Err(),
		stop:  func(context.Context) error { return server.Close() },
	}
	up := []component{c}
	ctx, done := context.WithTimeout(ctx, influxStartLimit)
	defer done()
	if err := await(ctx, "influx", c.check, c.ended); err != nil {
		return up, err
	}
	// With its default retention policy, autogen: keep for ever.
	if _, err := server.MetaClient.CreateDatabase(s.influxDatabase); err != nil {
		return up, fmt.Errorf("influx: create database %s: %w", s.influxDatabase, err)
	}
	return up, nil
}

// influxConfig is a quiet server with Flux on one port.
func influxConfig(dir, address string) *influxd.Config {
	c := influxd.NewConfig()
	c.ReportingDisabled = true
	c.BindAddress = "127.0.0.1:0" // for backups, which nobody makes here
	c.Meta.Dir = filepath.Join(dir, "meta")
	c.Meta.LoggingEnabled = false
	c.Data.Dir = filepath.Join(dir, "data")
	c.Data.WALDir = filepath.Join(dir, "wal")
	c.Data.Index = "tsi1"
	c.Data.QueryLogEnabled = false
	c.Monitor.StoreEnabled = false
	c.ContinuousQuery.Enabled = false
	c.Subscriber.Enabled = false
	c.GraphiteInputs, c.CollectdInputs, c.OpenTSDBInputs, c.UDPInputs = nil, nil, nil, nil
	c.HTTPD.BindAddress = address
	c.HTTPD.FluxEnabled = true
	c.HTTPD.LogEnabled = false
	c.HTTPD.PprofEnabled = false
	c.Coordinator.LogQueriesAfter = 0
	return c
}
