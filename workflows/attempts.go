package workflows

import (
	"time"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/spec"
)

// attempts counts what a training may still cost, by cause: of its script, of the machines, of those that take them away.
type attempts struct {
	left        spec.Retries
	made        int
	withoutSlot int // of the last ones
}

// retry is what follows of an attempt that failed.
type retry struct {
	cause    string
	again    bool          // another one may be made
	hopeless bool          // none can help, whatever is left
	free     bool          // nothing was tried: it cost no retry
	pause    time.Duration // before the next
}

// spend takes one more attempt from the budget that an error is counted on. A worker that is gone needs no pause; a
// script that fails at once must not spin.
func (a *attempts) spend(err error) retry {
	budget, cause := &a.left.Infrastructure, "infrastructure"
	switch errorType(err) {
	case activities.ErrorPreempted:
		budget, cause = &a.left.Preemption, "preemption"
	case activities.ErrorScript, activities.ErrorTrainTimeout:
		budget, cause = &a.left.Script, "script"
	case activities.ErrorTrainInput:
		return retry{hopeless: true}
	case activities.ErrorNoSlot: // it costs no retry, as long as that doesn't go on for ever
		if a.withoutSlot++; a.withoutSlot < mostWithoutSlot {
			return retry{again: true, free: true, pause: time.Duration(min(a.withoutSlot, 30)) * time.Second}
		}
	}
	a.withoutSlot = 0
	if *budget <= 0 {
		return retry{cause: cause}
	}
	*budget--
	return retry{cause: cause, again: true, pause: time.Duration(min(a.made, 30)) * time.Second}
}
