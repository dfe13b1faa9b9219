package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/nearest"
)

// Validate checks a Model however it came about; Parse and Load have done it already. The error is an *Invalid
// without lines. A contract that is still a file's name is accepted.
func (m *Model) Validate() error {
	if problems := m.problems(); len(problems) > 0 {
		return &Invalid{Name: m.Metadata.Name, Problems: problems}
	}
	return nil
}

// checker collects problems.
type checker struct{ found []Problem }

// fail notes a problem; a hint may follow the message after " | ".
func (c *checker) fail(path, format string, args ...any) {
	message, hint, _ := strings.Cut(fmt.Sprintf(format, args...), " | ")
	c.found = append(c.found, Problem{Path: path, Message: message, Hint: hint})
}

// must notes a problem unless ok.
func (c *checker) must(ok bool, path, format string, args ...any) {
	if !ok {
		c.fail(path, format, args...)
	}
}

// oneOf checks a word against the valid ones.
func (c *checker) oneOf(path, value string, valid ...string) {
	if !slices.Contains(valid, value) {
		c.found = append(c.found, Problem{Path: path, Message: fmt.Sprintf("%q is unknown", value), Hint: nearest.Hint(value, valid)})
	}
}

// share checks a part of one: low < p <= high, or low <= p where zero is allowed.
func (c *checker) share(path string, p Percent, zero bool) {
	switch {
	case p > 1:
		c.fail(path, "%g > 1 | for %g percent write %g%%", float64(p), float64(p), float64(p))
	case p < 0 || (p == 0 && !zero):
		c.fail(path, "%g must be over 0", float64(p))
	}
}

// atLeast checks a count.
func (c *checker) atLeast(path string, value, limit int) {
	c.must(value >= limit, path, "%d < %d", value, limit)
}

// positive checks a duration that has to be there.
func (c *checker) positive(path string, d Duration) {
	c.must(d > 0, path, "%s must be over 0s", d)
}

// problems is everything that is wrong with the values, section by section.
func (m *Model) problems() []Problem {
	c := &checker{}
	c.oneOf("apiVersion", m.APIVersion, APIVersion)
	c.oneOf("kind", m.Kind, Kind)
	c.oneOf("task", string(m.Task), string(Binary), string(Multiclass), string(Regression))
	c.metadata(m.Metadata)
	c.data(m)
	c.split(m)
	c.train(m.Train)
	c.setup(m.Train)
	c.search(m)
	c.predict(m)
	c.gates(m)
	c.approval(m.Approval)
	c.serving(m)
	c.target(m)
	c.canary(m.Canary, m.Serving.Mirror > 0, m.unserved())
	c.canaryQuality(m)
	c.monitor(m)
	c.retrain(m.Retrain)
	c.notify(m.Notify)
	c.budget(m.Budget)
	return c.found
}

var (
	nameForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`)
	bucketForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	secretForm   = regexp.MustCompile(`^[A-Z_][A-Z0-9_]{0,127}$`)
	digestForm   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	approverForm = regexp.MustCompile(`^(slack|cli):[^\s:,]{1,64}$`)
	channelForm  = regexp.MustCompile(`^#?[^\s#@,]{1,80}$`)
)

func (c *checker) metadata(m Metadata) {
	switch {
	case m.Name == "":
		c.fail("metadata.name", "is required | lower-case letters, digits and dashes")
	case !nameForm.MatchString(m.Name):
		c.fail("metadata.name", "%q isn't a name | 2 to 63 lower-case letters, digits and dashes, no dash at the ends", m.Name)
	}
	c.must(len(m.Team) <= 100, "metadata.team", "%d characters > 100", len(m.Team))
	c.must(len(m.Owner) <= 100, "metadata.owner", "%d characters > 100", len(m.Owner))
}

func (c *checker) split(m *Model) {
	s := m.Split
	c.oneOf("split.by", s.By, "time", "hash")
	c.must(s.By != "time" || m.Data.Time != "", "split.by", "time needs data.time")
	c.share("split.validation", s.Validation, true)
	c.share("split.test.newest", s.Test.Newest, false)
	c.must(s.Validation+s.Test.Newest < 1 || s.Validation > 1 || s.Test.Newest > 1, "split", "validation %s and test %s leave nothing to train on",
		s.Validation, s.Test.Newest)
	c.atLeast("split.test.min_rows", s.Test.MinRows, 1)
}

// reservedEnv are names that the trainer contract sets itself.
func reservedEnv(name string) bool {
	return strings.HasPrefix(name, "SM_") || strings.HasPrefix(name, "LEANLOOP_") ||
		slices.Contains([]string{"PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH",
			"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES"}, name)
}

func (c *checker) train(t Train) {
	switch {
	case len(t.Command) > 0 && t.Builtin != "":
		c.fail("train", "command and builtin %q are both set, expected one", t.Builtin)
	case len(t.Command) == 0:
		c.oneOf("train.builtin", t.Builtin, "trees", "linear")
	}
	for i, arg := range t.Command {
		path := fmt.Sprintf("train.command[%d]", i)
		c.must(i > 0 || arg != "", path, "the program's name is empty")
		c.must(!strings.ContainsRune(arg, 0), path, "contains a zero byte")
	}
	c.must(t.Code == "" || digestForm.MatchString(t.Code), "train.code", "%q isn't a sha256 in hex | leave it out: starter apply sets it", t.Code)
	for name := range t.Params {
		c.must(name != "" && !strings.ContainsAny(name, " =\x00"), "train.params", "%q isn't a parameter's name", name)
	}
	c.atLeast("train.resources.cpus", t.Resources.CPUs, 1)
	c.gpus(t)
	c.must(t.Resources.Memory >= 0, "train.resources.memory", "%d < 0", int64(t.Resources.Memory))
	c.must(t.Resources.Memory <= 0 || len(t.Command) > 0, "train.resources.memory",
		"bounds train.command; a built-in trainer runs within the worker, where it would bound nothing | leave it out")
	c.must(t.Resources.Disk == 0 || t.Resources.Disk >= 1<<20, "train.resources.disk", "%d < 1Mi", int64(t.Resources.Disk))
	c.must(t.Resources.Disk <= 0 || len(t.Command) > 0, "train.resources.disk", "bounds what train.command writes; a built-in trainer writes next to nothing | leave it out")
	c.positive("train.timeout", t.Timeout)
	for _, r := range []struct {
		name  string
		value int
	}{{"script", t.Retries.Script}, {"infrastructure", t.Retries.Infrastructure}, {"preemption", t.Retries.Preemption}} {
		c.must(r.value >= 0 && r.value <= 100, "train.retries."+r.name, "%d isn't within 0 and 100", r.value)
	}
	seen := map[string]bool{}
	for i, name := range t.Secrets {
		path := fmt.Sprintf("train.secrets[%d]", i)
		switch {
		case !secretForm.MatchString(name):
			c.fail(path, "%q isn't the name of a secret | upper-case letters, digits and underscores; the value lives on the worker", name)
		case reservedEnv(name):
			c.fail(path, "%s is set by the trainer contract", name)
		case seen[name]:
			c.fail(path, "%s is listed twice", name)
		}
		seen[name] = true
	}
}

func (c *checker) approval(a Approval) {
	seen := map[string]bool{}
	for i, who := range a.Approvers {
		path := fmt.Sprintf("approval.approvers[%d]", i)
		c.must(approverForm.MatchString(who), path, "%q isn't an actor | write cli:ana or slack:U012AB", who)
		c.must(!seen[who], path, "%s is listed twice", who)
		seen[who] = true
	}
	c.atLeast("approval.quorum", a.Quorum, 1)
	c.must(len(a.Approvers) == 0 || a.open() != "" || a.Quorum <= len(a.Approvers), "approval.quorum", "%d > %d approvers", a.Quorum, len(a.Approvers))
	c.positive("approval.timeout", a.Timeout)
	c.oneOf("approval.on_timeout", a.OnTimeout, "reject")
}

// minInterval keeps a canary from looking more often than gateways can report.
const minInterval = Duration(100 * time.Millisecond)

// maxSteps bounds a canary's plan, which its workflow carries in its state.
const maxSteps = 50

// canary checks the steps. The first may answer no request where it is mirrored instead, since nothing would be measured
// else. Of a model that nothing serves there is no step, which has to be said: it is promoted without real traffic.
func (c *checker) canary(s Canary, mirrored, unserved bool) {
	if unserved {
		c.must(len(s.Steps) == 0, "canary.steps", "no gateway can score by predict.command, so every step would wait for requests until the deadline | "+
			"write canary: {steps: []} where nothing serves this model, or serving.target: command where something else does")
	} else {
		c.must(len(s.Steps) >= 1 && len(s.Steps) <= maxSteps, "canary.steps", "%d steps, expected 1 to %d", len(s.Steps), maxSteps)
	}
	before, holds := Percent(0), Duration(0)
	for i, step := range s.Steps {
		path := fmt.Sprintf("canary.steps[%d]", i)
		c.share(path+".weight", step.Weight, i == 0 && mirrored)
		c.must(i == 0 || step.Weight > before, path+".weight", "%s isn't over the step before, %s", step.Weight, before)
		c.atLeast(path+".min_requests", step.MinRequests, 1)
		before = step.Weight
		if holds += step.Hold; holds < 0 {
			c.fail(path+".hold", "the holds together are longer than 292 years")
			return
		}
	}
	c.must(s.Interval >= minInterval, "canary.interval", "%s < %s", s.Interval, minInterval)
	c.must(s.Deadline > holds, "canary.deadline", "%s isn't over the holds of all steps, %s", s.Deadline, holds)
	c.must(s.Deadline > s.Interval, "canary.deadline", "%s isn't over the interval, %s", s.Deadline, s.Interval)
	c.oneOf("canary.on_failure", s.OnFailure, OnFailureRollback, OnFailurePause, OnFailureAsk)
	c.canaryAnswer(s)
	c.canaryLimits(s.Limits)
	c.share("canary.max_error_rate", s.MaxErrorRate, true)
	c.must(s.MaxSlowdown >= 1, "canary.max_slowdown", "%g < 1", s.MaxSlowdown)
	c.must(s.MaxPSI >= 0, "canary.max_psi", "%g < 0", s.MaxPSI)
}

func (c *checker) monitor(m *Model) {
	c.drift(m)
	q := m.Monitor.Quality
	c.schedule("monitor.quality", q.Every, q.Window)
	c.atLeast("monitor.quality.min_rows", q.MinRows, 1)
	valid := slices.DeleteFunc(m.Task.QualityMetrics(), func(name string) bool { return !LargerIsBetter(name) })
	c.oneOf("monitor.quality.metric", q.Metric, valid...)
	delay := m.Data.Labels.Delay
	c.must(q.Every == 0 || q.Window > delay, "monitor.quality.window",
		"%s holds no prediction older than data.labels.delay %s: quality would never be judged", q.Window, delay)
	if q.Estimate != "" {
		c.oneOf("monitor.quality.estimate", q.Estimate, EstimateReport, EstimateAlert, EstimateOff)
	}
	c.must(q.Estimate != EstimateAlert || m.Task != Regression, "monitor.quality.estimate", "alert: the quality of a regression can't be estimated without labels")
	c.must(q.BelowBaseline > 0 && q.BelowBaseline <= 1, "monitor.quality.below_baseline", "%g isn't within 0 (excluded) and 1", q.BelowBaseline)
}

// schedule checks a check's period. Zero turns it off.
func (c *checker) schedule(path string, every, window Duration) {
	c.must(every == 0 || every >= Duration(time.Second), path+".every", "%s < 1s | 0s turns it off", every)
	c.positive(path+".window", window)
}

func (c *checker) retrain(r Retrain) {
	seen := map[string]bool{}
	for i, trigger := range r.On {
		path := fmt.Sprintf("retrain.on[%d]", i)
		c.oneOf(path, trigger, "new_data", "quality", "drift", "cron")
		c.must(!seen[trigger], path, "%s is listed twice", trigger)
		seen[trigger] = true
	}
	switch {
	case seen["cron"] && r.Cron == "":
		c.fail("retrain.on", "cron needs retrain.cron | such as \"0 6 * * MON\"")
	case !seen["cron"] && r.Cron != "":
		c.fail("retrain.cron", "%q has no effect | add cron to retrain.on", r.Cron)
	}
	if r.Cron != "" {
		if err := checkCron(r.Cron); err != nil {
			c.fail("retrain.cron", "%v", err)
		}
	}
	c.atLeast("retrain.min_new_rows", r.MinNewRows, 0)
}

func (c *checker) notify(n Notify) {
	c.must(n.Slack == "" || channelForm.MatchString(n.Slack), "notify.slack", "%q isn't a channel | write \"#team\" or C012AB", n.Slack)
}

func (c *checker) budget(b Budget) {
	c.must(b.PerHour >= 0, "budget.cost_per_hour", "%g < 0", b.PerHour)
	c.must(b.PerRun.IsZero() || b.PerMonth.IsZero() || b.PerRun.Currency == b.PerMonth.Currency, "budget",
		"per_run is in %s, per_month in %s", b.PerRun.Currency, b.PerMonth.Currency)
	c.must(b.PerRun.IsZero() || b.PerMonth.IsZero() || b.PerRun.Amount <= b.PerMonth.Amount, "budget.per_run",
		"%s > per_month %s", b.PerRun, b.PerMonth)
}
