//go:build unix

package training

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/leanloop/leanloop/internal/spec"
)

// Words by which this test binary is another program.
const (
	asSupervisor = "be-a-supervisor"
	asWorker     = "be-a-worker"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case asSupervisor:
			os.Exit(Supervise())
		case asWorker:
			os.Exit(work(os.Args[2]))
		}
	}
	os.Exit(m.Run())
}

func superviseInTest() []string { return []string{os.Args[0], asSupervisor} }

// work is a worker that trains as a file says.
func work(path string) int {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 3
	}
	var s CommandSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return 4
	}
	if _, err := RunCommand(context.Background(), s, splitMade(300, 3, spec.Binary), nil); err != nil {
		fmt.Println(err)
		return 5
	}
	return 0
}
