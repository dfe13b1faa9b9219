package activities

import (
	"os"
	"testing"

	"github.com/leanloop/leanloop/internal/training"
)

// Words by which this test binary is another program.
const (
	asSupervisor = "be-a-supervisor"
	asWorker     = "be-a-worker"
	asTrainer    = "be-a-trainer"
)

func superviseInTest() []string { return []string{os.Args[0], asSupervisor} }

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case asSupervisor:
			os.Exit(training.Supervise())
		case asWorker:
			os.Exit(beWorker(os.Args[2]))
		case asTrainer:
			os.Exit(beTrainer(os.Args[2]))
		}
	}
	os.Exit(m.Run())
}
