package spec

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Bounds of a setup: an evaluation may have to wait for two.
const (
	maxSetupTimeout = Duration(time.Hour)
	maxSetupFiles   = 100
)

func (c *checker) setup(t Train) {
	s := t.Setup
	if len(s.Command) == 0 {
		c.must(s.Timeout == 0, "train.setup.timeout", "%s has no effect | add train.setup.command", s.Timeout)
		c.must(len(s.Files) == 0, "train.setup.files", "have no effect | add train.setup.command")
		return
	}
	c.must(len(t.Command) > 0, "train.setup.command", "needs train.command: a built-in trainer needs nothing | leave it out")
	for i, arg := range s.Command {
		path := fmt.Sprintf("train.setup.command[%d]", i)
		c.must(i > 0 || arg != "", path, "the program's name is empty")
		c.must(!strings.ContainsRune(arg, 0), path, "contains a zero byte")
	}
	c.must(len(s.Files) <= maxSetupFiles, "train.setup.files", "%d > %d | name a folder", len(s.Files), maxSetupFiles)
	for i, name := range s.Files {
		path := fmt.Sprintf("train.setup.files[%d]", i)
		c.must(fs.ValidPath(name) && name != "." && !strings.ContainsRune(name, '\\'), path, "%q isn't a path below the folder of model.yaml | such as requirements.txt", name)
		c.must(!slices.Contains(s.Files[:i], name), path, "%q is listed twice", name)
	}
	c.must(s.Timeout > 0 && s.Timeout <= maxSetupTimeout, "train.setup.timeout", "%s isn't over 0s and at most %s", s.Timeout, maxSetupTimeout)
}
