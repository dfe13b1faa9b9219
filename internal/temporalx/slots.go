package temporalx

import (
	"context"

	"go.temporal.io/sdk/worker"

	"github.com/leanloop/leanloop/internal/training/slots"
)

// fewSlots are of what a worker that runs activities alone has none of.
const fewSlots = 1

// ShareSlots makes a worker's activities run on a desk's slots, which it shares with the workers of other task queues:
// it asks for a task only while that would fit. One poller is enough, since tasks are long.
func ShareSlots(o worker.Options, desk *slots.Desk) (worker.Options, error) {
	few, err := worker.NewFixedSizeSlotSupplier(fewSlots)
	if err != nil {
		return o, err
	}
	o.Tuner, err = worker.NewCompositeTuner(worker.CompositeTunerOptions{
		WorkflowSlotSupplier: few, LocalActivitySlotSupplier: few, NexusSlotSupplier: few, SessionActivitySlotSupplier: few,
		ActivitySlotSupplier: deskSupplier{desk},
	})
	o.MaxConcurrentActivityExecutionSize, o.MaxConcurrentActivityTaskPollers = 0, 1
	return o, err
}

// deskSupplier is a desk as the SDK asks for slots.
type deskSupplier struct{ desk *slots.Desk }

// ReserveSlot waits until a task of the queue would fit.
func (s deskSupplier) ReserveSlot(ctx context.Context, info worker.SlotReservationInfo) (*worker.SlotPermit, error) {
	ticket, err := s.desk.Reserve(ctx, info.TaskQueue())
	if err != nil {
		return nil, err
	}
	return &worker.SlotPermit{UserData: ticket}, nil
}

// TryReserveSlot refuses: no task comes but by a poll.
func (s deskSupplier) TryReserveSlot(worker.SlotReservationInfo) *worker.SlotPermit { return nil }

// MarkSlotUsed takes the slots of a task that has come. What it can't take, who claims them finds out.
func (s deskSupplier) MarkSlotUsed(info worker.SlotMarkUsedInfo) {
	if ticket, ok := info.Permit().UserData.(*slots.Ticket); ok {
		if err := s.desk.Use(ticket); err != nil {
			info.Logger().Error("slots not taken", "error", err)
		}
	}
}

// ReleaseSlot ends a task, or a poll that brought none.
func (s deskSupplier) ReleaseSlot(info worker.SlotReleaseInfo) {
	if ticket, ok := info.Permit().UserData.(*slots.Ticket); ok {
		s.desk.Return(ticket)
	}
}

// MaxSlots isn't known: it is for all queues together.
func (s deskSupplier) MaxSlots() int { return 0 }
