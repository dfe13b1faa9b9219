package target

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/training"
)

const asSupervisor = "be-a-supervisor"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asSupervisor {
		os.Exit(training.Supervise())
	}
	os.Exit(m.Run())
}

// program is a shell script that drives a target.
func program(t *testing.T, script string) *Command {
	t.Helper()
	return &Command{
		Model: "flights", Argv: []string{"sh", "-euc", script, "target"}, Env: map[string]string{"TARGET_TOKEN": "x"}, Code: t.TempDir(), Scratch: t.TempDir(),
		Timeout: 30 * time.Second, Supervisor: []string{os.Args[0], asSupervisor}, Grace: 100 * time.Millisecond, Now: func() time.Time { return t0 },
		Fetch: func(_ context.Context, digest, into string) ([]string, error) {
			return []string{"model.json"}, os.WriteFile(filepath.Join(into, "model.json"), []byte(digest), 0o600)
		},
	}
}

func TestAProgramIsToldWhatToDoAndItsAnswerIsTaken(t *testing.T) {
	c := program(t, `
		cat >"request-$1.json"
		case $1 in
		deploy) cp "$(sed 's/.*"folder":"\([^"]*\)".*/\1/' request-deploy.json)/model.json" got; echo '{"deployed":{"version":4,"id":"17"}}';;
		weight) echo '{"set":{"champion":3,"challenger":4,"weight":0.1}}';;
		read) echo "token $TARGET_TOKEN" >&2; echo '{"versions":[{"version":3,"weight":0.9},{"version":4,"weight":0.1,"id":"17"}]}';;
		remove) echo '{"removed":{"version":2}}';;
		esac`)
	request := func(verb string) (r Request) {
		raw, err := os.ReadFile(filepath.Join(c.Code, "request-"+verb+".json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, &r))
		require.Equal(t, verb, r.Verb)
		require.Equal(t, "flights", r.Model)
		require.Equal(t, t0.Add(30*time.Second), r.Deadline)
		return r
	}
	require.NoError(t, c.Deploy(t.Context(), Deployment{Version: 4, Artifact: "abc"}, 12))
	r := request(Deploy)
	require.Equal(t, "flights/deploy/4/abc", r.Key)
	require.Equal(t, []string{"model.json"}, r.Artifact.Files)
	got, err := os.ReadFile(filepath.Join(c.Code, "got"))
	require.NoError(t, err)
	require.Equal(t, "abc", string(got))

	require.NoError(t, c.SetWeights(t.Context(), Weights{Champion: 3, Challenger: 4, Weight: 0.1}, 12))
	r = request(Weight)
	require.Equal(t, "flights/weight/12/3/4/0.1", r.Key)
	require.Equal(t, 0.1, *r.Weight)
	require.NoError(t, c.SetWeights(t.Context(), Weights{Champion: 3}, 13))
	require.Zero(t, *request(Weight).Weight, "0 is said, not left out")

	versions, err := c.Read(t.Context(), 12)
	require.NoError(t, err)
	require.Equal(t, []Version{{Version: 3, Weight: 0.9}, {Version: 4, Weight: 0.1, ID: "17"}}, versions)
	require.NoError(t, c.Remove(t.Context(), 2, 12))
	require.Equal(t, 2, request(Remove).Version)
	left, err := os.ReadDir(c.Scratch)
	require.NoError(t, err)
	require.Empty(t, left, "private folders are removed")
}

func TestWhatAProgramFailsWithIsTyped(t *testing.T) {
	for name, c := range map[string]struct {
		script  string
		refused bool
		want    string
	}{
		"exit code 2 refuses":           {"echo no such alias >&2; exit 2", true, "no such alias"},
		"any other code is tried again": {"echo 429 >&2; exit 1", false, "exit code 1; its last lines: 429"},
		"so is a signal":                {"kill -9 $$", false, "ended by signal"},
		"no JSON":                       {"echo hello", true, `isn't one JSON object: "hello\n"`},
		"nothing":                       {"true", true, "isn't one JSON object"},
		"two answers":                   {`echo '{"versions":[]}'; echo '{"versions":[]}'`, true, "something follows it"},
		"another verb's answer":         {`echo '{"deployed":{"version":1}}'`, true, `its answer isn't {"versions"`},
		"a version twice":               {`echo '{"versions":[{"version":1,"weight":1},{"version":1,"weight":0}]}'`, true, "version 1: want each number once"},
		"no version":                    {`echo '{"versions":[{"weight":1}]}'`, true, "version 0"},
		"a weight over one":             {`echo '{"versions":[{"version":1,"weight":90}]}'`, true, "weight 90 isn't within 0 and 1"},
		"an id that breaks lines":       {`echo '{"versions":[{"version":1,"weight":1,"id":"a\\nb"}]}'`, true, "printable"},
		"more than is read":             {`head -c 2000000 /dev/zero`, true, "over 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := program(t, c.script).Read(t.Context(), 1)
			_, refused := errors.AsType[*Refused](err)
			require.Equal(t, c.refused, refused, "%v", err)
			require.ErrorContains(t, err, c.want)
		})
	}
	t.Run("a program that isn't there", func(t *testing.T) {
		p := program(t, "")
		p.Argv = []string{"no-such-program"}
		_, err := p.Read(t.Context(), 1)
		_, refused := errors.AsType[*Refused](err)
		require.True(t, refused, "%v", err)
	})
	t.Run("one that hangs", func(t *testing.T) {
		p := program(t, "sleep 60")
		p.Timeout = 100 * time.Millisecond
		_, err := p.Read(t.Context(), 1)
		_, refused := errors.AsType[*Refused](err)
		require.False(t, refused)
		require.ErrorContains(t, err, "after its timeout of 100ms")
	})
	t.Run("an answer with a secret in it", func(t *testing.T) {
		p := program(t, `echo "token $TOKEN refused"`)
		p.Env = map[string]string{"TOKEN": "tok-123456"}
		_, err := p.Read(t.Context(), 1)
		require.ErrorContains(t, err, `"token *** refused`)
		require.NotContains(t, err.Error(), "tok-123456")
	})
	t.Run("an answer about another version", func(t *testing.T) {
		p := program(t, `echo '{"deployed":{"version":5},"removed":{"version":5}}'`)
		require.ErrorContains(t, p.Deploy(t.Context(), Deployment{Version: 4, Artifact: "a"}, 1), `{"deployed":{"version":4}}`)
		require.ErrorContains(t, p.Remove(t.Context(), 4, 1), `{"removed":{"version":4}}`)
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"versions":[{"version":3,"weight":0.9},{"version":4,"weight":0.1,"id":"17"}]}`))
	f.Add([]byte(`{"versions":[{"version":1e99,"weight":-0}]}`))
	f.Add([]byte(`{"deployed":{"version":4}}{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := parse(raw)
		if err != nil || a.Versions == nil || checkVersions(*a.Versions) != nil {
			return
		}
		for _, v := range *a.Versions {
			if v.Version < 1 || v.Weight < 0 || v.Weight > 1 || strings.ContainsAny(v.ID, "\n\x00") {
				t.Fatalf("%+v was taken", v)
			}
		}
	})
}
