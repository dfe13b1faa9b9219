package deploy_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tags maps each image of the compose file to its tag.
func tags(t *testing.T) map[string]string {
	t.Helper()
	c, err := parseCompose(readText(t, "docker-compose.yml"))
	require.NoError(t, err)
	found := map[string]string{}
	for _, s := range c.Services {
		if name, tag, ok := strings.Cut(s.Image, ":"); ok {
			if before, twice := found[name]; twice {
				require.Equal(t, before, tag, "two versions of %s", name)
			}
			found[name] = tag
		}
	}
	return found
}

// Production runs the versions that the development stack, and so every integration test, runs.
func TestServersAreTheOnesThatAreTested(t *testing.T) {
	have, modules := tags(t), readText(t, "devstack/go.mod")
	for image, module := range map[string]string{
		"temporalio/server":      "go.temporal.io/server",
		"temporalio/admin-tools": "go.temporal.io/server",
		"temporalio/ui":          "github.com/temporalio/ui-server/v2",
		"versity/versitygw":      "github.com/versity/versitygw",
	} {
		version := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(module) + ` v(\S+)`).FindStringSubmatch(modules)
		require.NotNil(t, version, "%s isn't in devstack/go.mod", module)
		require.Equal(t, version[1], strings.TrimPrefix(have[image], "v"), image)
	}
}

func TestNamespaceScriptCreatesTheSearchAttributesThatWorkflowsUse(t *testing.T) {
	var want []string
	for _, m := range regexp.MustCompile(`NewSearchAttributeKeyKeyword\("(\w+)"\)`).FindAllStringSubmatch(readText(t, "workflows/contract.go"), -1) {
		want = append(want, m[1])
	}
	require.NotEmpty(t, want)
	list := regexp.MustCompile(`for name in ([\w ]+); do`).FindStringSubmatch(readText(t, "deploy/temporal/namespace.sh"))
	require.NotNil(t, list)
	require.ElementsMatch(t, want, strings.Fields(list[1]))
}

func TestScriptsAreValidShell(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh here")
	}
	scripts, err := filepath.Glob("*/*.sh")
	require.NoError(t, err)
	require.Len(t, scripts, 3)
	for _, script := range scripts {
		out, err := exec.Command(shell, "-n", script).CombinedOutput()
		require.NoError(t, err, "%s: %s", script, out)
		require.Contains(t, readText(t, "deploy/"+script), "\nset -eu\n", script)
	}
}

// policy is what the test looks at of an S3 bucket policy.
type policy struct {
	Statement []struct {
		Sid, Effect string
		Action      any
		Resource    []string
		Condition   map[string]map[string]string
	}
}

func TestPoliciesProtectTheLedger(t *testing.T) {
	for name, statements := range map[string][]string{
		"ledger-aws.json":       {"LedgerIsNeverDeleted", "LedgerIsNeverOverwritten"},
		"ledger-versitygw.json": {"LedgerIsNeverDeleted"},
	} {
		t.Run(name, func(t *testing.T) {
			var p policy
			require.NoError(t, json.Unmarshal([]byte(readText(t, "deploy/policy/"+name)), &p))
			var found []string
			for _, s := range p.Statement {
				found = append(found, s.Sid)
				require.Equal(t, "Deny", s.Effect)
				require.Contains(t, s.Resource, "arn:aws:s3:::leanloop/models/*/ledger/*", s.Sid)
			}
			require.Equal(t, statements, found)
		})
	}
}
