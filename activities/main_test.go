package activities

import (
	"os"
	"testing"

	"github.com/leanloop/leanloop/internal/training"
)

// asSupervisor makes this test binary the supervisor of a trainer.
const asSupervisor = "be-a-supervisor"

func superviseInTest() []string { return []string{os.Args[0], asSupervisor} }

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asSupervisor {
		os.Exit(training.Supervise())
	}
	os.Exit(m.Run())
}
