package registry

import "fmt"

// Conflict says that a guard failed: the state moved since the one who asks looked at it. Asking the same again
// can't help; looking again might.
type Conflict struct {
	Model, Key         string
	What               string // champion, challenger, epoch, evidence, ...
	Observed, Expected string
}

func (e *Conflict) Error() string {
	return fmt.Sprintf("%s: conflict on %s: %s is %s, expected %s", e.Model, e.Key, e.What, e.Observed, e.Expected)
}

// Refused says that a rule forbids a command, whatever its guard. Asking again can't help.
type Refused struct {
	Subject string // model or data set
	Key     string
	Reason  string
}

func (e *Refused) Error() string {
	return fmt.Sprintf("%s: refused %s: %s", e.Subject, e.Key, e.Reason)
}

// Broken says that what is stored isn't what was written: an entry is gone, changed or unreadable, or bytes don't
// have their digest. Retrying can't help; a person must look (starter verify).
type Broken struct {
	Object  string // key in the bucket
	Problem string
}

func (e *Broken) Error() string { return fmt.Sprintf("%s is broken: %s", e.Object, e.Problem) }
