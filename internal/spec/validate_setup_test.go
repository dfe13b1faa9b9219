package spec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func withSetup(setup string) []byte {
	return []byte("metadata: {name: churn}\ndata: {prefix: s3://lake/a/, target: y}\ntrain: {command: [python3, train.py], setup: " + setup + "}\n")
}

func TestSetupHasATimeoutWhereItHasACommand(t *testing.T) {
	m, err := Parse("x", withSetup("{command: [npm, ci], files: [package.json, vendor]}"))
	require.NoError(t, err)
	require.Equal(t, Setup{Command: []string{"npm", "ci"}, Files: []string{"package.json", "vendor"}, Timeout: DefaultSetupTimeout}, m.Train.Setup)
	require.Equal(t, 15*time.Minute, m.Train.Setup.Timeout.D())

	m, err = Parse("x", []byte("metadata: {name: churn}\ndata: {prefix: s3://lake/a/, target: y}\ntrain: {command: [a]}\n"))
	require.NoError(t, err)
	canonical, err := m.Canonical()
	require.NoError(t, err)
	require.NotContains(t, string(canonical), "setup", "a spec without it keeps its digest")
}

func TestSetupIsRefusedWhereItCannotWork(t *testing.T) {
	for _, c := range []struct{ name, setup, says string }{
		{"a timeout of nothing", "{timeout: 5m}", "train.setup.timeout: 5m has no effect (add train.setup.command)"},
		{"files of nothing", "{files: [a]}", "train.setup.files: have no effect (add train.setup.command)"},
		{"an empty program", `{command: [""]}`, "train.setup.command[0]: the program's name is empty"},
		{"a timeout that is too long", "{command: [a], timeout: 61m}", "train.setup.timeout: 61m isn't over 0s and at most 1h"},
		{"a file elsewhere", "{command: [a], files: [../b]}", `train.setup.files[0]: "../b" isn't a path below the folder of model.yaml`},
		{"an absolute file", "{command: [a], files: [/etc/passwd]}", `train.setup.files[0]: "/etc/passwd" isn't a path below the folder of model.yaml`},
		{"a file twice", "{command: [a], files: [b, b]}", `train.setup.files[1]: "b" is listed twice`},
		{"a misspelt field", "{command: [a], file: [b]}", `unknown field "file" (did you mean "files"?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x", withSetup(c.setup))
			require.ErrorContains(t, err, c.says)
		})
	}
	_, err := Parse("x", []byte("metadata: {name: churn}\ndata: {prefix: s3://lake/a/, target: y}\ntrain: {setup: {command: [a]}}\n"))
	require.ErrorContains(t, err, "train.setup.command: needs train.command")
}
