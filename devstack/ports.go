package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// ports are TCP ports on loopback; 0 is none. They are kept in the data
// folder, so that a restarted stack answers where its clients look for it.
type ports struct {
	Temporal int `json:"temporal"`
	UI       int `json:"ui"`
	S3       int `json:"s3"`
	Influx   int `json:"influx"`
	Health   int `json:"health"`
}

func (p ports) validate() error {
	seen := map[int]string{}
	for name, port := range map[string]int{
		"temporal": p.Temporal, "ui": p.UI, "s3": p.S3, "influx": p.Influx, "health": p.Health,
	} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("--%s-port: %d is not a port", name, port)
		}
		if other, twice := seen[port]; twice && port != 0 {
			return fmt.Errorf("--%s-port and --%s-port are both %d", other, name, port)
		}
		seen[port] = name
	}
	return nil
}

// The ports that are picked lie below the range from which systems give ports
// to outgoing connections (32768 on Linux, 49152 on macOS). A server that is
// down for a moment can so get its port back: no client's connection took it.
const (
	firstPort = 20000
	lastPort  = 29999
)

// picker gives out free ports, none twice.
type picker struct {
	mu    sync.Mutex
	taken map[int]bool
}

func newPicker() *picker { return &picker{taken: map[int]bool{}} }

// choose gives the fixed port if there is one, which must be free, else the
// previous one if it is free, else any free one.
func (p *picker) choose(what string, fixed, previous int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fixed != 0 {
		if !p.take(fixed) {
			return 0, fmt.Errorf("%s: port %d is in use", what, fixed)
		}
		return fixed, nil
	}
	if previous != 0 && p.take(previous) {
		return previous, nil
	}
	const tries = 1000
	for range tries {
		if port := firstPort + rand.IntN(lastPort-firstPort+1); p.take(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("%s: no free port found in %d tries between %d and %d", what, tries, firstPort, lastPort)
}

// take marks a port as given out if nobody listens on it.
func (p *picker) take(port int) bool {
	if p.taken[port] {
		return false
	}
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	_ = l.Close()
	p.taken[port] = true
	return true
}

// loopback gives 127.0.0.1:port. IPv4 alone: a client that resolves
// "localhost" to ::1 first would need both.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// chosen gives every port that the configuration needs.
func (p *picker) chosen(o options, previous ports) (ports, error) {
	var out ports
	for _, want := range []struct {
		what            string
		need            bool
		fixed, previous int
		to              *int
	}{
		{"health", true, o.ports.Health, previous.Health, &out.Health},
		{"temporal", o.temporal == "", o.ports.Temporal, previous.Temporal, &out.Temporal},
		{"temporal ui", o.temporal == "" && !o.noUI, o.ports.UI, previous.UI, &out.UI},
		{"s3", o.s3 == "", o.ports.S3, previous.S3, &out.S3},
		{"influx", o.influx == "" && !o.noInflux, o.ports.Influx, previous.Influx, &out.Influx},
	} {
		if !want.need {
			*want.to = want.previous // for the day it is needed again
			continue
		}
		port, err := p.choose(want.what, want.fixed, want.previous)
		if err != nil {
			return ports{}, err
		}
		*want.to = port
	}
	return out, nil
}
