// Package deploy_test holds the production files to rules that can be checked by reading them: docker-compose.yml,
// the Dockerfile, .env.example, the scripts and policies. It needs no container engine, and therefore proves nothing
// about how the containers behave once they run.
package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// root is the top of the repository, seen from this folder.
const root = ".."

// compose is what the rules look at of a compose file.
type compose struct {
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
	Networks map[string]any     `yaml:"networks"`
}

type service struct {
	Image       string                `yaml:"image"`
	Build       *build                `yaml:"build"`
	Restart     string                `yaml:"restart"`
	Profiles    []string              `yaml:"profiles"`
	Environment map[string]string     `yaml:"environment"`
	Volumes     []string              `yaml:"volumes"`
	Tmpfs       []string              `yaml:"tmpfs"`
	Ports       []string              `yaml:"ports"`
	Networks    []string              `yaml:"networks"`
	DependsOn   map[string]dependency `yaml:"depends_on"`
	Healthcheck *healthcheck          `yaml:"healthcheck"`
	ReadOnly    bool                  `yaml:"read_only"`
	CapDrop     []string              `yaml:"cap_drop"`
	SecurityOpt []string              `yaml:"security_opt"`
}

type build struct {
	Context    string `yaml:"context"`
	Dockerfile string `yaml:"dockerfile"`
	Target     string `yaml:"target"`
}

type dependency struct {
	Condition string `yaml:"condition"`
}

type healthcheck struct {
	Test     []string `yaml:"test"`
	Interval string   `yaml:"interval"`
	Timeout  string   `yaml:"timeout"`
	Retries  int      `yaml:"retries"`
}

const (
	healthy   = "service_healthy"
	completed = "service_completed_successfully"
)

// isJob says that a service ends by itself and is tried again only when it fails.
func (s service) isJob() bool { return strings.HasPrefix(s.Restart, "on-failure") }

// isTool says that a service starts only when someone asks for it.
func (s service) isTool() bool { return len(s.Profiles) > 0 }

// on lists a service's networks; none named is the default one.
func (s service) on() []string {
	if len(s.Networks) == 0 {
		return []string{"default"}
	}
	return s.Networks
}

func parseCompose(text string) (compose, error) {
	var c compose
	err := yaml.Unmarshal([]byte(text), &c)
	return c, err
}

// readText reads a file of the repository.
func readText(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(data)
}

// composeRules are named by what they promise; each returns what breaks it.
var composeRules = map[string]func(compose) []string{
	"every service has one source":              oneSource,
	"every image is pinned by a version":        pinnedImages,
	"every service says when it restarts":       restarts,
	"every lasting service has a health check":  healthChecks,
	"every dependency can be met":               dependencies,
	"every volume is declared and used":         volumes,
	"every network is declared":                 networks,
	"no secret stands in the file":              noSecrets,
	"only the gateway listens beyond localhost": published,
	"our own containers can't change":           hardened,
}

func TestComposeKeepsItsRules(t *testing.T) {
	c, err := parseCompose(readText(t, "docker-compose.yml"))
	require.NoError(t, err)
	require.NotEmpty(t, c.Services)
	for name, rule := range composeRules {
		t.Run(name, func(t *testing.T) { require.Empty(t, rule(c)) })
	}
}

func TestComposeHasEveryComponent(t *testing.T) {
	c, err := parseCompose(readText(t, "docker-compose.yml"))
	require.NoError(t, err)
	for _, name := range []string{
		"postgresql", "temporal-schema", "temporal", "temporal-namespace", "temporal-ui",
		"versitygw", "bucket", "influxdb", "worker", "gateway", "starter",
	} {
		require.Contains(t, c.Services, name)
	}
	for service, variables := range map[string][]string{
		"worker":  {"TEMPORAL_ADDRESS", "LEANLOOP_BUCKET", "LEANLOOP_LISTEN"},
		"gateway": {"LEANLOOP_BUCKET", "LEANLOOP_LISTEN", "LEANLOOP_STATE_DIR"},
		"starter": {"TEMPORAL_ADDRESS", "LEANLOOP_BUCKET"},
	} {
		for _, name := range variables {
			require.NotEmpty(t, c.Services[service].Environment[name], "%s of %s", name, service)
		}
	}
}

// each calls a rule on every service, in order of name.
func each(c compose, rule func(name string, s service) []string) []string {
	var broken []string
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		for _, why := range rule(name, c.Services[name]) {
			broken = append(broken, name+": "+why)
		}
	}
	return broken
}

func oneSource(c compose) []string {
	return each(c, func(_ string, s service) []string {
		if (s.Image == "") == (s.Build == nil) {
			return []string{"wants an image or a build, and not both"}
		}
		if s.Build == nil {
			return nil
		}
		var broken []string
		if info, err := os.Stat(filepath.Join(root, s.Build.Context)); err != nil || !info.IsDir() {
			broken = append(broken, "no build context "+s.Build.Context)
		}
		if _, err := os.Stat(filepath.Join(root, s.Build.Context, s.Build.Dockerfile)); err != nil {
			broken = append(broken, "no Dockerfile "+s.Build.Dockerfile)
		}
		return broken
	})
}

// pinned is a version with at least a major and a minor number.
var pinned = regexp.MustCompile(`:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$`)

func pinnedImages(c compose) []string {
	return each(c, func(_ string, s service) []string {
		if s.Image != "" && !pinned.MatchString(s.Image) {
			return []string{fmt.Sprintf("image %q isn't pinned to a version", s.Image)}
		}
		return nil
	})
}

func restarts(c compose) []string {
	return each(c, func(_ string, s service) []string {
		switch {
		case s.isTool() && s.Restart == "no", s.isJob(), s.Restart == "unless-stopped":
			return nil
		}
		return []string{fmt.Sprintf("restart %q: want unless-stopped, on-failure:N for a job, or no for a tool", s.Restart)}
	})
}

func healthChecks(c compose) []string {
	return each(c, func(name string, s service) []string {
		if s.isJob() || s.isTool() {
			return nil
		}
		h := s.Healthcheck
		switch {
		case h == nil:
			return []string{"has no healthcheck"}
		case len(h.Test) < 2 || h.Test[0] != "CMD":
			return []string{fmt.Sprintf("healthcheck %q: want CMD and a program, since an image may lack a shell", h.Test)}
		case h.Interval == "" || h.Timeout == "" || h.Retries == 0:
			return []string{"healthcheck without interval, timeout or retries"}
		case s.Build != nil && !slices.Equal(h.Test, []string{"CMD", "/" + name, "health"}):
			return []string{fmt.Sprintf("healthcheck %q: our images have nothing but /%s health", h.Test, name)}
		}
		return nil
	})
}

func dependencies(c compose) []string {
	broken := each(c, func(_ string, s service) []string {
		var broken []string
		for other, how := range s.DependsOn {
			target, ok := c.Services[other]
			switch {
			case !ok:
				broken = append(broken, "depends on "+other+", which doesn't exist")
			case how.Condition == healthy && target.Healthcheck == nil:
				broken = append(broken, "waits for the health of "+other+", which has no healthcheck")
			case how.Condition == completed && !target.isJob():
				broken = append(broken, "waits for the end of "+other+", which doesn't end")
			case how.Condition != healthy && how.Condition != completed:
				broken = append(broken, fmt.Sprintf("condition %q of %s waits for nothing", how.Condition, other))
			}
		}
		return broken
	})
	for name, s := range c.Services {
		if s.isJob() && !awaited(c, name) {
			broken = append(broken, name+": nobody waits for this job")
		}
		if reaches(c, name, name, map[string]bool{}) {
			broken = append(broken, name+": depends on itself")
		}
	}
	return broken
}

func awaited(c compose, job string) bool {
	for _, s := range c.Services {
		if s.DependsOn[job].Condition == completed {
			return true
		}
	}
	return false
}

// reaches says whether from depends on to, directly or by others.
func reaches(c compose, from, to string, seen map[string]bool) bool {
	for next := range c.Services[from].DependsOn {
		if next == to {
			return true
		}
		if !seen[next] {
			seen[next] = true
			if reaches(c, next, to, seen) {
				return true
			}
		}
	}
	return false
}

func volumes(c compose) []string {
	used := map[string]bool{}
	broken := each(c, func(_ string, s service) []string {
		var broken []string
		for _, v := range s.Volumes {
			source, rest, ok := strings.Cut(v, ":")
			if !ok {
				broken = append(broken, fmt.Sprintf("volume %q has no source: it would be lost with the container", v))
				continue
			}
			if !strings.HasPrefix(source, ".") {
				used[source] = true
				if _, ok := c.Volumes[source]; !ok {
					broken = append(broken, fmt.Sprintf("volume %q isn't declared", source))
				}
				continue
			}
			if _, err := os.Stat(filepath.Join(root, source)); err != nil {
				broken = append(broken, fmt.Sprintf("mounts %q, which doesn't exist", source))
			}
			if !strings.HasSuffix(rest, ":ro") {
				broken = append(broken, fmt.Sprintf("mounts %q writable", source))
			}
		}
		return broken
	})
	for name := range c.Volumes {
		if !used[name] {
			broken = append(broken, fmt.Sprintf("volume %q is declared and never used", name))
		}
	}
	return broken
}

func networks(c compose) []string {
	return each(c, func(_ string, s service) []string {
		var broken []string
		for _, n := range s.on() {
			if _, ok := c.Networks[n]; !ok {
				broken = append(broken, fmt.Sprintf("network %q isn't declared", n))
			}
		}
		for other := range s.DependsOn {
			if target := c.Services[other]; !target.isJob() && !slices.ContainsFunc(s.on(), func(n string) bool { return slices.Contains(target.on(), n) }) {
				broken = append(broken, "can't reach "+other+": no network in common")
			}
		}
		return broken
	})
}

var (
	secretName = regexp.MustCompile(`PASSWORD|SECRET|TOKEN|PWD|(ACCESS|API)_KEY`)
	// fromEnvironment is a value that comes from .env: demanded, or empty.
	fromEnvironment = regexp.MustCompile(`^\$\{\w+(:\?[^}]+|:-)\}$`)
)

func noSecrets(c compose) []string {
	return each(c, func(_ string, s service) []string {
		var broken []string
		for name, value := range s.Environment {
			if secretName.MatchString(name) && !fromEnvironment.MatchString(value) {
				broken = append(broken, fmt.Sprintf("%s has a value of its own: want ${VAR:?...} or ${VAR:-}", name))
			}
		}
		return broken
	})
}

func published(c compose) []string {
	return each(c, func(name string, s service) []string {
		var broken []string
		for _, p := range s.Ports {
			if name == "gateway" && strings.HasSuffix(p, ":8080") {
				continue
			}
			if !strings.HasPrefix(p, "127.0.0.1:") {
				broken = append(broken, fmt.Sprintf("port %q is open to other machines", p))
			}
		}
		return broken
	})
}

func hardened(c compose) []string {
	return each(c, func(_ string, s service) []string {
		var broken []string
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			broken = append(broken, "may gain privileges")
		}
		if s.Build == nil {
			return broken
		}
		if !s.ReadOnly {
			broken = append(broken, "its root file system is writable")
		}
		if !slices.Equal(s.CapDrop, []string{"ALL"}) {
			broken = append(broken, fmt.Sprintf("cap_drop %q: want ALL", s.CapDrop))
		}
		if !writes(s, "/tmp") {
			broken = append(broken, "/tmp isn't writable")
		}
		if dir := s.Environment["LEANLOOP_STATE_DIR"]; dir != "" && !writes(s, dir) {
			broken = append(broken, dir+" isn't a volume")
		}
		return broken
	})
}

// writes says whether a path is a volume or a tmpfs.
func writes(s service, dir string) bool {
	return slices.Contains(s.Tmpfs, dir) || slices.ContainsFunc(s.Volumes, func(v string) bool { return strings.HasSuffix(v, ":"+path.Clean(dir)) })
}
