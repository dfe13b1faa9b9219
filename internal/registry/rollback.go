package registry

import "fmt"

// RollBack is the command that takes the challenger out of traffic (to is 0), or makes a former champion the champion
// again, for a model that stands as the guard says. Its key is made of the epoch: whoever asks the same of the same
// state, at once or twice, through the CLI or a gateway, has it done once. Actor, Via and Time are the caller's to add.
func RollBack(epoch int64, champion, challenger, to int, reason string) Command {
	return Command{
		Key:        fmt.Sprintf("rollback/%d/%d/%d", epoch, challenger, to),
		Kind:       KindRolledBack,
		Reason:     reason,
		Guard:      Guard{Champion: &champion, Challenger: &challenger, Epoch: &epoch},
		RolledBack: &RolledBack{Version: challenger, To: to, Reason: reason},
	}
}
