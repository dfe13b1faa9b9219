package deploy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// whole is a small compose file that keeps every rule. Each case below breaks one thing in it.
func whole() compose {
	ping := &healthcheck{Test: []string{"CMD", "ping"}, Interval: "5s", Timeout: "5s", Retries: 3}
	plain := []string{"no-new-privileges:true"}
	return compose{
		Volumes:  map[string]any{"data": nil, "scratch": nil},
		Networks: map[string]any{"default": nil, "back": nil},
		Services: map[string]service{
			"store": {
				Image: "store:1.2", Restart: "unless-stopped", Healthcheck: ping, SecurityOpt: plain,
				Volumes: []string{"data:/data", "./deploy/s3:/scripts:ro"}, Ports: []string{"127.0.0.1:${S3_PORT:-7070}:7070"},
				Environment: map[string]string{"ROOT_SECRET_KEY": "${S3_SECRET_KEY:?see .env.example}"},
			},
			"job": {
				Image: "tools:v1.2.3", Restart: "on-failure:5", SecurityOpt: plain,
				DependsOn: map[string]dependency{"store": {healthy}},
			},
			"worker": {
				Build: &build{Context: ".", Dockerfile: "deploy/docker/Dockerfile", Target: "worker"}, Restart: "unless-stopped",
				Healthcheck: &healthcheck{Test: []string{"CMD", "/worker", "health"}, Interval: "5s", Timeout: "5s", Retries: 3},
				SecurityOpt: plain, ReadOnly: true, CapDrop: []string{"ALL"}, Volumes: []string{"scratch:/tmp"},
				DependsOn:   map[string]dependency{"job": {completed}},
				Environment: map[string]string{"SLACK_BOT_TOKEN": "${SLACK_BOT_TOKEN:-}"},
			},
		},
	}
}

func TestTheWholeFileBreaksNoRule(t *testing.T) {
	for name, rule := range composeRules {
		require.Empty(t, rule(whole()), name)
	}
}

func TestComposeRulesNoticeWhatBreaksThem(t *testing.T) {
	change := func(name string, edit func(*service)) func(compose) {
		return func(c compose) {
			s := c.Services[name]
			edit(&s)
			c.Services[name] = s
		}
	}
	for _, c := range []struct {
		rule string
		edit func(compose)
		want string
	}{
		{"every service has one source", change("store", func(s *service) { s.Image = "" }), "store: wants an image or a build"},
		{"every service has one source", change("worker", func(s *service) { s.Build.Dockerfile = "Dockerfile.gone" }), "worker: no Dockerfile Dockerfile.gone"},
		{"every image is pinned by a version", change("store", func(s *service) { s.Image = "store:latest" }), `"store:latest" isn't pinned`},
		{"every image is pinned by a version", change("store", func(s *service) { s.Image = "store" }), `"store" isn't pinned`},
		{"every service says when it restarts", change("store", func(s *service) { s.Restart = "" }), `store: restart ""`},
		{"every lasting service has a health check", change("store", func(s *service) { s.Healthcheck = nil }), "store: has no healthcheck"},
		{"every lasting service has a health check", change("worker", func(s *service) { s.Healthcheck.Test = []string{"CMD", "curl", "-f", "x"} }), "our images have nothing but /worker health"},
		{"every dependency can be met", change("job", func(s *service) { s.DependsOn = map[string]dependency{"disk": {healthy}} }), "job: depends on disk"},
		{"every dependency can be met", change("job", func(s *service) { s.DependsOn = map[string]dependency{"store": {"service_started"}} }), `condition "service_started"`},
		{"every dependency can be met", change("worker", func(s *service) { s.DependsOn = nil }), "job: nobody waits for this job"},
		{"every dependency can be met", change("store", func(s *service) { s.DependsOn = map[string]dependency{"worker": {healthy}} }), "depends on itself"},
		{"every volume is declared and used", func(c compose) { delete(c.Volumes, "data") }, `volume "data" isn't declared`},
		{"every volume is declared and used", func(c compose) { c.Volumes["old"] = nil }, `volume "old" is declared and never used`},
		{"every volume is declared and used", change("store", func(s *service) { s.Volumes = []string{"data:/data", "./deploy/gone:/x:ro"} }), `mounts "./deploy/gone"`},
		{"every network is declared", change("store", func(s *service) { s.Networks = []string{"front"} }), `network "front" isn't declared`},
		{"every network is declared", change("store", func(s *service) { s.Networks = []string{"back"} }), "job: can't reach store"},
		{"no secret stands in the file", change("store", func(s *service) { s.Environment = map[string]string{"ROOT_SECRET_KEY": "hunter2"} }), "ROOT_SECRET_KEY has a value of its own"},
		{"no secret stands in the file", change("store", func(s *service) { s.Environment = map[string]string{"DB_PASSWORD": "${DB_PASSWORD:-temporal}"} }), "DB_PASSWORD has a value of its own"},
		{"only the gateway listens beyond localhost", change("store", func(s *service) { s.Ports = []string{"7070:7070"} }), `port "7070:7070" is open`},
		{"our own containers can't change", change("worker", func(s *service) { s.ReadOnly = false }), "root file system is writable"},
		{"our own containers can't change", change("worker", func(s *service) { s.CapDrop = nil }), "want ALL"},
	} {
		t.Run(c.want, func(t *testing.T) {
			broken := whole()
			c.edit(broken)
			found := composeRules[c.rule](broken)
			require.NotEmpty(t, found, c.rule)
			require.Contains(t, strings.Join(found, "\n"), c.want)
		})
	}
}
