//go:build unix

package setup

import (
	"os"
	"testing"

	"github.com/leanloop/leanloop/internal/training"
)

const asSupervisor = "be-a-supervisor"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asSupervisor {
		os.Exit(training.Supervise())
	}
	os.Exit(m.Run())
}
