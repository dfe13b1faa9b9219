package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Every retry and timeout, by name. Infrastructure is retried until the schedule-to-close deadline; activities mark
// bad input and refusals as non-retryable themselves.

// quick is a few small reads and writes: a ledger entry, a run record. A store that is away for a day is waited for,
// since nothing else can be done. A cancelled attempt is waited for as well, so that cleanup finds what it wrote.
func quick() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:              QueueLifecycle,
		StartToCloseTimeout:    30 * time.Second,
		ScheduleToCloseTimeout: 24 * time.Hour,
		WaitForCancellation:    true,
		RetryPolicy:            backoff(500*time.Millisecond, 30*time.Second),
	}
}

// patient is quick for Model, which lasts for ever and so waits for ever.
func patient() workflow.ActivityOptions {
	o := quick()
	o.ScheduleToCloseTimeout = 0
	return o
}

// leased is quick for a weight that holds until its lease ends: written later it is worth nothing.
func leased(lease time.Duration) workflow.ActivityOptions {
	o := quick()
	o.ScheduleToCloseTimeout = lease
	o.StartToCloseTimeout = min(o.StartToCloseTimeout, lease)
	return o
}

// dataScan reads whole data sets, at the speed of the disk, with heartbeats.
func dataScan() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:              QueueData,
		StartToCloseTimeout:    2 * time.Hour,
		ScheduleToCloseTimeout: 24 * time.Hour,
		HeartbeatTimeout:       30 * time.Second,
		RetryPolicy:            backoff(time.Second, time.Minute),
	}
}

// training is one attempt: the workflow counts attempts itself, by cause. limit is the spec's timeout and the grace
// after it; a worker that is gone is noticed after the heartbeat timeout.
func training(limit time.Duration) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:           QueueTrain,
		StartToCloseTimeout: limit + time.Minute,
		HeartbeatTimeout:    10 * time.Second,
		WaitForCancellation: true,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
	}
}

// looking asks who could take what waits.
func looking() workflow.ActivityOptions {
	o := quick()
	o.ScheduleToCloseTimeout = 2 * time.Minute
	return o
}

// notify tells people. It gives up after an hour: a chat that is down blocks nothing.
func notify() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:              QueueLifecycle,
		StartToCloseTimeout:    20 * time.Second,
		ScheduleToCloseTimeout: time.Hour,
		RetryPolicy:            backoff(time.Second, time.Minute),
	}
}

// alerting tells people from a monitor. It gives up sooner: the next look must not wait for a chat that is down.
func alerting() workflow.ActivityOptions {
	o := notify()
	o.ScheduleToCloseTimeout = 2 * time.Minute
	return o
}

// measuring reads one window of metrics. A store that doesn't answer soon makes the window Inconclusive, which the
// activity says itself; only lost workers are retried here.
func measuring() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:              QueueLifecycle,
		StartToCloseTimeout:    20 * time.Second,
		ScheduleToCloseTimeout: 10 * time.Minute,
		RetryPolicy:            backoff(500*time.Millisecond, 5*time.Second),
	}
}

// readingLabels reads the answers of a canary's step and the labels that reached them. It is never waited for.
func readingLabels() workflow.ActivityOptions {
	o := dataScan()
	o.StartToCloseTimeout = 10 * time.Minute
	o.ScheduleToCloseTimeout = 15 * time.Minute
	return o
}

// confirming waits for gateways, with heartbeats: a worker that is gone meanwhile is noticed before the time is over.
func confirming(within time.Duration) workflow.ActivityOptions {
	o := quick()
	o.StartToCloseTimeout, o.HeartbeatTimeout = within+15*time.Second, 10*time.Second
	o.ScheduleToCloseTimeout = 2*within + time.Minute
	o.WaitForCancellation = false
	return o
}

// driving runs a program that drives a target until it confirms, which takes its time. The activity tries again by itself;
// only a worker that is gone is noticed here.
func driving(within time.Duration) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:              QueueLifecycle,
		StartToCloseTimeout:    within + 30*time.Second,
		ScheduleToCloseTimeout: 2*within + time.Minute,
		HeartbeatTimeout:       10 * time.Second,
		WaitForCancellation:    true, // two programs at once do no harm, and help nobody
		RetryPolicy:            backoff(time.Second, 20*time.Second),
	}
}

// deploying makes a version ready in a target, attempt after attempt.
func deploying(within time.Duration) workflow.ActivityOptions {
	o := driving(within)
	o.ScheduleToCloseTimeout = within + deployWithin
	return o
}

func backoff(initial, limit time.Duration) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: initial, BackoffCoefficient: 2, MaximumInterval: limit}
}

// Times that workflows wait.
const (
	// confirmWithin is how long a promotion waits for gateways to follow; a gateway that is cut off doesn't undo it.
	confirmWithin = 20 * time.Second
	// adoptionPoll is how often Model looks after a run that it isn't the parent of.
	adoptionPoll = 30 * time.Second
	// planAgain is how long Model waits after what it asked for failed in a way that no retry helps: a spec that can't be
	// read waits for another one.
	planAgain = 5 * time.Minute
	// gather is how long files that land together are waited for before a run takes them all.
	gather = 2 * time.Second
	// submitWithin is how long a submission waits to be told its run.
	submitWithin = time.Minute
	// lastWords is how long a run that has ended waits for its messages.
	lastWords = 30 * time.Second
	// unservedLease is that of a challenger without traffic, which is promoted at once.
	unservedLease = time.Hour
	// lookFirst is how long an attempt at training may wait for a worker before anybody asks why: twice in a minute, then
	// less and less often, at least every lookMost.
	lookFirst = 25 * time.Second
	lookMost  = 5 * time.Minute
	// noWorkerWithin is how long a training waits for a worker that could run it while there is none.
	noWorkerWithin = 24 * time.Hour
	// targetSlack is what one verb may take beyond its program's timeout, until its traffic counts as not confirmed.
	targetSlack = 30 * time.Second
	// returnWithin is how long a target is asked to give traffic back, and to serve a promoted version, before that is told
	// as a problem. The check by schedule goes on.
	returnWithin = 10 * time.Minute
	// deployWithin is how long a deployment that fails is tried again.
	deployWithin = time.Hour
	// checkWithin is how long one check of a target may take.
	checkWithin = 10 * time.Minute
	// undecided is how old a decision has to be for a target that doesn't serve by it to be news.
	undecided = 2 * time.Minute
	// leaseSlack is added to the lease of a canary's weight, beyond two intervals.
	leaseSlack = 15 * time.Second
)

// shardsAtOnce is how many shards of a window are profiled at the same time: enough for a few machines, and other models'
// checks still get their turn.
const shardsAtOnce = 8

// trialsPerExecution is after how many trials a search continues as new: some ten events each.
const trialsPerExecution = 250

// Bounds of what an entity remembers.
const (
	recentTriggers = 1000
	// maxPending bounds the triggers that wait, so that an entity's state stays below what Temporal carries. A landed
	// file that finds no room is told of again by the next listing.
	maxPending     = 2000
	recentMonths   = 12
	monthName      = "2006-01"
	triggersPerRun = 500 // and so files in one run: more make the next one
	recentRefusals = 20
	// mostWithoutSlot bounds the attempts in a row that found no slot on the worker that took them.
	mostWithoutSlot = 100
	runsPerModel    = 100 // runs after which Model continues as new
)
