package activities

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/training"
)

// Types of application errors. Those made by permanent aren't retried; everything else is infrastructure and is.
const (
	ErrorSpec         = "Spec"         // the applied spec can't be used
	ErrorData         = "Data"         // the rows can't train or judge a model
	ErrorCorrupt      = "Corrupt"      // stored bytes aren't the ones that were written
	ErrorConflict     = "Conflict"     // the ledger moved on: a guard failed
	ErrorLedgerRule   = "Refused"      // the ledger's rules forbid it
	ErrorScript       = "Script"       // the training script failed
	ErrorTrainTimeout = "TrainTimeout" // the training script took too long
	ErrorTrainInput   = "TrainInput"   // these rows or parameters can't be trained on: another attempt can't help
	ErrorPreempted    = "Preempted"    // the machine was taken away
	ErrorNoSlot       = "NoSlot"       // the worker had no slot left for it: it goes to another, or waits
	ErrorMessage      = "Message"      // a provider won't take this message
	ErrorTarget       = "Target"       // the program of serving.command refuses
)

// permanent marks an error that no retry can help. One that was marked keeps its kind.
func permanent(kind string, err error) error {
	if marked, ok := errors.AsType[*temporal.ApplicationError](err); ok && marked.NonRetryable() {
		return err
	}
	message := err.Error()
	if len(message) > maxMessage {
		return temporal.NewNonRetryableApplicationError(clip(message, maxMessage), kind, nil) // the cause is as long
	}
	return temporal.NewNonRetryableApplicationError(message, kind, err)
}

// isPermanent says that no retry can help.
func isPermanent(err error) bool {
	marked, ok := errors.AsType[*temporal.ApplicationError](err)
	return ok && marked.NonRetryable()
}

// ledgerError types what the registry answers: conflicts, broken rules and damage are permanent, trouble with the store
// isn't.
func ledgerError(err error) error {
	if conflict, ok := errors.AsType[*registry.Conflict](err); ok {
		return permanent(ErrorConflict, conflict)
	}
	if refused, ok := errors.AsType[*registry.Refused](err); ok {
		return permanent(ErrorLedgerRule, refused)
	}
	if broken, ok := errors.AsType[*registry.Broken](err); ok {
		return permanent(ErrorCorrupt, broken)
	}
	return err
}

// readError types what reading a file answers: what is wrong with the file is permanent, a broken connection isn't.
func readError(name string, err error) error {
	if bad, ok := errors.AsType[*dataset.FormatError](err); ok {
		return permanent(ErrorData, bad)
	}
	return fmt.Errorf("read %s: %w", name, err)
}

// trainingError types what an attempt ended with, by the budget that it is counted on.
func trainingError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		if worker := activity.GetWorkerStopChannel(ctx); stopped(worker) {
			return permanent(ErrorPreempted, fmt.Errorf("the worker was stopped: %w", err))
		}
		return ctx.Err()
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok && (app.Type() == ErrorPreempted || app.Type() == ErrorNoSlot) {
		return err
	}
	if isPermanent(err) {
		// The snapshot, the spec or the code can't be used: the next attempt would read the same.
		return temporal.NewNonRetryableApplicationError(clip(err.Error(), maxMessage), ErrorTrainInput, nil)
	}
	switch training.Classify(err) {
	case training.CauseInput:
		return permanent(ErrorTrainInput, err)
	case training.CauseTimeout:
		return permanent(ErrorTrainTimeout, err)
	case training.CauseScript:
		return permanent(ErrorScript, err)
	default:
		return err
	}
}

func stopped(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
