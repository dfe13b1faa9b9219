package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const dockerfile = "deploy/docker/Dockerfile"

// stage is one FROM ... AS name of a Dockerfile and the instructions under it, a line each.
type stage struct {
	base, name string
	lines      []string
}

// parseStages joins continued lines and leaves out comments.
func parseStages(text string) ([]stage, error) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	var stages []stage
	for number, line := range strings.Split(text, "\n") {
		line = strings.Join(strings.Fields(line), " ")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if base, ok := strings.CutPrefix(line, "FROM "); ok {
			image, name, named := strings.Cut(base, " AS ")
			if !named {
				return nil, fmt.Errorf("instruction %d: stage without a name: %s", number+1, line)
			}
			stages = append(stages, stage{base: image, name: name})
			continue
		}
		if len(stages) == 0 {
			return nil, fmt.Errorf("instruction %d: %s before the first FROM", number+1, line)
		}
		last := &stages[len(stages)-1]
		last.lines = append(last.lines, line)
	}
	return stages, nil
}

// with gives the rest of every instruction of that name.
func (s stage) with(instruction string) []string {
	var found []string
	for _, line := range s.lines {
		if rest, ok := strings.CutPrefix(line, instruction+" "); ok {
			found = append(found, rest)
		}
	}
	return found
}

func readStages(t *testing.T) map[string]stage {
	t.Helper()
	list, err := parseStages(readText(t, dockerfile))
	require.NoError(t, err)
	stages := map[string]stage{}
	for _, s := range list {
		stages[s.name] = s
	}
	return stages
}

func TestStagesWithoutANameAreRefused(t *testing.T) {
	_, err := parseStages("FROM golang:1.26.8\nRUN true")
	require.ErrorContains(t, err, "stage without a name")
	_, err = parseStages("USER 1\nFROM golang:1.26.8 AS build")
	require.ErrorContains(t, err, "before the first FROM")
}

func TestImagesAreBuiltStaticallyAndReproducibly(t *testing.T) {
	build := readStages(t)["build"]
	env := strings.Join(build.with("ENV"), " ")
	require.Contains(t, env, "CGO_ENABLED=0")
	require.Contains(t, env, "-mod=readonly")
	runs := strings.Join(build.with("RUN"), " && ")
	commands := regexp.MustCompile(`go build[^&]*`).FindAllString(runs, -1)
	require.Len(t, commands, 4)
	for _, command := range commands {
		require.Contains(t, command, "-trimpath")
	}
	for _, program := range []string{"worker", "gateway", "starter", "onnxhost"} {
		require.Contains(t, runs, "-o /out/"+program+" ")
	}
}

func TestImagesUseTheModulesGo(t *testing.T) {
	wants := regexp.MustCompile(`(?m)^go (\d+)\.(\d+)\.(\d+)$`).FindStringSubmatch(readText(t, "go.mod"))
	require.NotNil(t, wants, "go.mod names no Go version")
	has := regexp.MustCompile(`^golang:(\d+)\.(\d+)\.(\d+)$`).FindStringSubmatch(readStages(t)["build"].base)
	require.NotNil(t, has, "the build stage isn't on golang:MAJOR.MINOR.PATCH")
	require.Equal(t, wants[1:3], has[1:3])
	need, err := strconv.Atoi(wants[3])
	require.NoError(t, err)
	patch, err := strconv.Atoi(has[3])
	require.NoError(t, err)
	require.GreaterOrEqual(t, patch, need)
}

func TestImagesRunAsNobody(t *testing.T) {
	for name, s := range readStages(t) {
		if name == "build" || name == "onnxruntime" {
			continue // nothing runs from them
		}
		t.Run(name, func(t *testing.T) {
			require.Equal(t, []string{"65532:65532"}, s.with("USER"))
			require.Empty(t, s.with("RUN"), "a final stage runs nothing")
			require.Empty(t, s.with("ADD"))
			require.Regexp(t, `:[\w.-]+$`, s.base, "the base image has no tag")
			require.NotContains(t, s.base, ":latest")
			entry := s.with("ENTRYPOINT")
			require.Len(t, entry, 1)
			var argv []string
			require.NoError(t, json.Unmarshal([]byte(entry[0]), &argv), "ENTRYPOINT isn't an argument list")
			program := strings.TrimSuffix(strings.TrimSuffix(name, "-python"), "-onnx")
			require.Equal(t, []string{"/" + program}, argv)
			require.Contains(t, s.with("COPY"), fmt.Sprintf("--from=build /out/%s /%s", program, program))
		})
	}
}

// The host and its library lie where the programs look for them: beside the program, and in a usual folder. They need
// glibc, which a static base lacks.
func TestImagesForONNXHaveTheHostAndItsLibrary(t *testing.T) {
	stages := readStages(t)
	for _, name := range []string{"worker-onnx", "gateway-onnx"} {
		s, ok := stages[name]
		require.True(t, ok, name)
		require.NotContains(t, s.base, "static")
		require.NotContains(t, s.base, "alpine")
		require.Contains(t, s.with("COPY"), "--from=build /out/onnxhost /onnxhost")
		require.Contains(t, s.with("COPY"), "--from=onnxruntime /out /usr/local/lib")
	}
	require.Contains(t, readText(t, ".ci/requirements.txt"), regexp.MustCompile(`onnxruntime==[\d.]+`).FindString(strings.Join(stages["onnxruntime"].with("RUN"), " ")),
		"the library in the images is the one that is tested")
}

func TestComposeTargetsAreStages(t *testing.T) {
	c, err := parseCompose(readText(t, "docker-compose.yml"))
	require.NoError(t, err)
	stages := readStages(t)
	for name, s := range c.Services {
		if s.Build == nil {
			continue
		}
		target := reference.ReplaceAllString(s.Build.Target, "$3")
		require.Contains(t, stages, target, name)
	}
	require.Contains(t, stages, "worker-python", "docker-compose.yml offers it")
}

// copied lists what the build stage copies from the repository.
func copied(s stage) []string {
	var sources []string
	for _, line := range s.with("COPY") {
		if fields := strings.Fields(line); !strings.HasPrefix(fields[0], "--from") {
			sources = append(sources, fields[:len(fields)-1]...)
		}
	}
	return sources
}

func TestWhatTheBuildCopiesIsInItsContext(t *testing.T) {
	ignore := strings.Split(readText(t, ".dockerignore"), "\n")
	require.Contains(t, ignore, "*", "everything is left out first")
	for _, source := range copied(readStages(t)["build"]) {
		_, err := os.Stat(filepath.Join(root, source))
		require.NoError(t, err)
		require.Contains(t, ignore, "!"+path.Clean(source), ".dockerignore leaves it out")
	}
}
