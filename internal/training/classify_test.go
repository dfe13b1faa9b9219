package training_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/training"
)

func TestWhatAnErrorIsCountedOn(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want training.Cause
	}{
		{"an unknown parameter", &training.UnknownName{What: "parameter", Name: "x"}, training.CauseInput},
		{"a parameter out of range", &training.ParamError{Param: "eta", Observed: -1, Want: "0 to 1"}, training.CauseInput},
		{"rows that can't be learned from", &training.DataError{Kind: training.OneClass}, training.CauseInput},
		{"a secret that isn't there", &training.InputError{What: "train.secrets"}, training.CauseInput},
		{"a program that exits 1", &training.ScriptError{Code: 1}, training.CauseScript},
		{"a program that can't be started", &training.ScriptError{Start: fs.ErrNotExist}, training.CauseScript},
		{"a program that writes no model", &training.NoModelError{}, training.CauseScript},
		{"a program whose model can't be served", &training.ModelError{Err: errors.New("garbage")}, training.CauseScript},
		{"a program that takes too long", &training.TimeoutError{}, training.CauseTimeout},
		{"a full disk", fs.ErrPermission, training.CauseInfrastructure},
		{"an end of the context", context.Canceled, training.CauseInfrastructure},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, training.Classify(c.err))
			require.Equal(t, c.want, training.Classify(fmt.Errorf("attempt 1: %w", c.err)), "however it is wrapped")
		})
	}
}

func TestAnInputErrorNamesObservedAndWanted(t *testing.T) {
	err := &training.InputError{What: "train.secrets", Observed: "KEY isn't set on this worker", Limit: "set it in the worker's environment"}
	require.EqualError(t, err, "train.secrets: KEY isn't set on this worker, want: set it in the worker's environment")
}
