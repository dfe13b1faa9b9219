package spec

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Who serves.
const (
	TargetGateway = "gateway" // this project's gateways, which follow the ledger by themselves
	TargetCommand = "command" // something else, which the model owner's program drives
)

// ServingMetrics says how what a target served is measured: by instant queries in PromQL against a Prometheus server, once
// for each arm. In a query $arm, $version, $id and $window are replaced: champion or challenger, the version's number, the
// target's own name of it, and the seconds that are asked about, as a PromQL duration.
type ServingMetrics struct {
	Prometheus string   `yaml:"prometheus" json:"prometheus"`                       // base URL of its HTTP API
	Token      string   `yaml:"token,omitempty" json:"token,omitempty"`             // secret that is sent as a bearer token; "": none is
	Requests   string   `yaml:"requests" json:"requests"`                           // how many requests
	Errors     string   `yaml:"errors" json:"errors"`                               // how many of them failed
	Latency    string   `yaml:"latency,omitempty" json:"latency,omitempty"`         // how many took at most le seconds, for each le: the buckets of a histogram
	LatencyP99 string   `yaml:"latency_p99,omitempty" json:"latency_p99,omitempty"` // the 99th percentile in seconds, where there is no histogram
	StaleAfter Duration `yaml:"stale_after,omitempty" json:"stale_after,omitempty"` // without a sample for so long the numbers are stale; default 5m
}

// Limits of a command target.
const (
	maxTargetTimeout = Duration(15 * time.Minute)
	minStaleAfter    = Duration(10 * time.Second)
	maxQuery         = 4000 // bytes
)

// Driven reports whether a program drives what serves.
func (s Serving) Driven() bool { return s.Target == TargetCommand }

// RunsCode reports whether the folder beside model.yaml has to be packed: a program of the model owner's runs.
func (m *Model) RunsCode() bool { return len(m.Train.Command) > 0 || len(m.Serving.Command) > 0 }

// complete fills the defaults of a command target. A spec without one stays as it was written, and so does its digest.
func (s *Serving) complete() {
	if !s.Driven() {
		return
	}
	if s.Timeout == 0 {
		s.Timeout = Duration(2 * time.Minute)
	}
	if s.Metrics != nil && s.Metrics.StaleAfter == 0 {
		s.Metrics.StaleAfter = Duration(5 * time.Minute)
	}
}

// target checks who serves.
func (c *checker) target(m *Model) {
	s := m.Serving
	if s.Target != "" {
		c.oneOf("serving.target", s.Target, TargetGateway, TargetCommand)
	}
	if !s.Driven() {
		for _, f := range []struct {
			name string
			set  bool
		}{{"command", len(s.Command) > 0}, {"timeout", s.Timeout != 0}, {"secrets", len(s.Secrets) > 0}, {"metrics", s.Metrics != nil}} {
			c.must(!f.set, "serving."+f.name, "has no effect: gateways serve | set serving.target: command")
		}
		return
	}
	c.must(len(s.Command) > 0, "serving.command", "is required: serving.target is command")
	for i, arg := range s.Command {
		path := fmt.Sprintf("serving.command[%d]", i)
		c.must(i > 0 || arg != "", path, "the program's name is empty")
		c.must(!strings.ContainsRune(arg, 0), path, "contains a zero byte")
	}
	c.must(s.Timeout >= Duration(time.Second) && s.Timeout <= maxTargetTimeout, "serving.timeout", "%s isn't within 1s and %s", s.Timeout, maxTargetTimeout)
	c.must(s.StickyBy == "", "serving.sticky_by", "has no effect: only gateways split by a field | leave it out")
	c.must(s.Mirror == 0, "serving.mirror", "has no effect: only gateways mirror | leave it out")
	c.must(m.Canary.MaxPSI == 0, "canary.max_psi", "%g: predictions are counted by gateways alone | leave it out", m.Canary.MaxPSI)
	seen := map[string]bool{}
	for i, name := range s.Secrets {
		path := fmt.Sprintf("serving.secrets[%d]", i)
		switch {
		case !secretForm.MatchString(name):
			c.fail(path, "%q isn't the name of a secret | upper-case letters, digits and underscores; the value lives on the worker", name)
		case slices.Contains([]string{"PATH", "HOME", "LANG", "TMPDIR", "LD_PRELOAD", "LD_LIBRARY_PATH"}, name):
			c.fail(path, "%s is set for every program", name)
		case workersOwn(name):
			c.fail(path, "%s is kept by the worker: no program gets it | give the target's credentials names of their own, such as TARGET_%s", name, name)
		case seen[name]:
			c.fail(path, "%s is listed twice", name)
		}
		seen[name] = true
	}
	if s.Metrics != nil {
		c.servingMetrics(*s.Metrics)
	}
}

// workersOwn are names that a worker gives to no program, since its own settings have them.
func workersOwn(name string) bool {
	return slices.ContainsFunc([]string{"AWS_", "INFLUX_", "LEANLOOP_", "SLACK_", "TEMPORAL_"}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

func (c *checker) servingMetrics(s ServingMetrics) {
	const at = "serving.metrics."
	u, err := url.Parse(s.Prometheus)
	switch {
	case s.Prometheus == "":
		c.fail(at+"prometheus", "is required | the server's URL, such as http://prometheus:9090")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		c.fail(at+"prometheus", "%q isn't a server's URL | such as http://prometheus:9090", s.Prometheus)
	case u.User != nil:
		c.fail(at+"prometheus", "carries a password | name a secret in serving.metrics.token")
	}
	c.must(s.Token == "" || secretForm.MatchString(s.Token) && !workersOwn(s.Token), at+"token", "%q isn't the name of a secret that programs may have", s.Token)
	for _, q := range []struct {
		name, query string
		required    bool
	}{{"requests", s.Requests, true}, {"errors", s.Errors, true}, {"latency", s.Latency, false}, {"latency_p99", s.LatencyP99, false}} {
		c.query(at+q.name, q.query, q.required)
	}
	c.must(s.Latency == "" || s.LatencyP99 == "", at+"latency_p99", "latency gives it already | leave one of them out")
	c.must(s.Latency != "" || s.LatencyP99 != "", "serving.metrics", "neither latency nor latency_p99: canary.max_slowdown compares them, so no canary would pass")
	c.must(s.StaleAfter >= minStaleAfter, at+"stale_after", "%s < %s", s.StaleAfter, minStaleAfter)
}

// query checks that a query tells arms and windows apart: one that doesn't gives the same numbers for both.
func (c *checker) query(path, query string, required bool) {
	if strings.TrimSpace(query) == "" {
		c.must(!required && query == "", path, "is required")
		return
	}
	c.must(len(query) <= maxQuery, path, "%d bytes > %d", len(query), maxQuery)
	known := []string{"arm", "version", "id", "window"}
	used := map[string]bool{}
	for _, piece := range strings.Split(query, "$")[1:] {
		name := piece[:len(piece)-len(strings.TrimLeft(piece, "abcdefghijklmnopqrstuvwxyz_"))]
		if name == "" { // the end of a regular expression
			continue
		}
		c.must(slices.Contains(known, name), path, "$%s is unknown | want %s", name, "$arm, $version, $id or $window")
		used[name] = true
	}
	c.must(used["arm"] || used["version"] || used["id"], path, "doesn't tell the arms apart | use $arm, $version or $id")
	c.must(used["window"], path, "doesn't say of which time | use $window, as in increase(requests_total[$window])")
}
