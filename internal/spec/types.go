// Package spec is the model.yaml that a model owner writes: its types, defaults, validation and JSON Schema.
//
// It depends on no other package of this project but those that do no I/O and know nothing of it (nearest, instant, the
// language of suites, and search with its language of spaces), so that every other one may take its sections as arguments. It reads files only in Load;
// everything else is a function of bytes.
package spec

import (
	"cmp"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// APIVersion and Kind are the only values that a spec may carry.
const (
	APIVersion = "leanloop/v1"
	Kind       = "Model"
)

// Task is what a model predicts.
type Task string

// The tasks.
const (
	Binary     Task = "binary"
	Multiclass Task = "multiclass"
	Regression Task = "regression"
)

// Model is one model.yaml. Parse fills every default, so a Model that came from Parse or Load has no zero value
// that means "not set" unless the field's comment says so.
type Model struct {
	APIVersion string   `yaml:"apiVersion" json:"apiVersion"`
	Kind       string   `yaml:"kind" json:"kind"`
	Metadata   Metadata `yaml:"metadata" json:"metadata"`
	Task       Task     `yaml:"task" json:"task"`
	Data       Data     `yaml:"data" json:"data"`
	Split      Split    `yaml:"split" json:"split"`
	Train      Train    `yaml:"train" json:"train"`
	Predict    Predict  `yaml:"predict,omitempty" json:"predict,omitzero"`
	Gates      Gates    `yaml:"gates" json:"gates"`
	Approval   Approval `yaml:"approval" json:"approval"`
	Serving    Serving  `yaml:"serving" json:"serving"`
	Canary     Canary   `yaml:"canary" json:"canary"`
	Monitor    Monitor  `yaml:"monitor" json:"monitor"`
	Retrain    Retrain  `yaml:"retrain" json:"retrain"`
	Notify     Notify   `yaml:"notify" json:"notify"`
	Budget     Budget   `yaml:"budget" json:"budget"`
}

// Metadata names the model and who answers for it.
type Metadata struct {
	Name  string `yaml:"name" json:"name"` // lower-case letters, digits and dashes; 2 to 63 characters
	Team  string `yaml:"team,omitempty" json:"team,omitempty"`
	Owner string `yaml:"owner,omitempty" json:"owner,omitempty"`
}

// Data is where increments land and what a row means.
type Data struct {
	Prefix       string       `yaml:"prefix" json:"prefix"`                                          // s3://bucket/folder/ ; a new object below it is an increment
	Format       string       `yaml:"format" json:"format"`                                          // csv | csv.gz | csv.zst | parquet ; default: by the object's name
	ID           string       `yaml:"id,omitempty" json:"id,omitempty"`                              // column that names a row for ever; "" : the row's content does
	Time         string       `yaml:"time,omitempty" json:"time,omitempty"`                          // event-time column; "" : none
	Target       string       `yaml:"target" json:"target"`                                          // label column
	Positive     string       `yaml:"positive,omitempty" json:"positive,omitempty" spec:"anyscalar"` // binary with a category target: the positive value
	Group        string       `yaml:"group,omitempty" json:"group,omitempty"`                        // rows of one group never straddle a split
	Weight       string       `yaml:"weight,omitempty" json:"weight,omitempty"`                      // column of how much a row counts in training; "": all alike
	Features     Features     `yaml:"features" json:"features"`
	Window       Window       `yaml:"window" json:"window"`
	OnRedelivery string       `yaml:"on_redelivery" json:"on_redelivery"` // refuse | supersede
	DropNulls    bool         `yaml:"drop_nulls,omitempty" json:"drop_nulls,omitempty"`
	Contract     *Contract    `yaml:"contract,omitempty" json:"contract,omitempty"` // a file name in YAML is inlined by Load; nil: inferred from the first accepted file
	Expectations Expectations `yaml:"expectations" json:"expectations"`
	Labels       Labels       `yaml:"labels" json:"labels"`
}

// Features are all columns but id, time, target, group and weight, less Exclude; or exactly Include.
type Features struct {
	Include []string `yaml:"include,omitempty" json:"include,omitempty"`
	Exclude []string `yaml:"exclude,omitempty" json:"exclude,omitempty"`
}

// Window bounds a snapshot: files whose events end within Last of the newest accepted event; 0: all.
type Window struct {
	Last    Duration `yaml:"last,omitempty" json:"last,omitempty"`
	MinRows int      `yaml:"min_rows" json:"min_rows"` // fewer training rows: the run ends validation_failed
}

// Contract is what a landed file must look like.
type Contract struct {
	Columns []ColumnRule `yaml:"columns" json:"columns"`
	Strict  bool         `yaml:"strict" json:"strict"` // a column that isn't listed is a failure
	Rows    RowRule      `yaml:"rows,omitempty" json:"rows,omitzero"`

	// File is the contract's file while it isn't read: Parse sets it alone, Load replaces it by the columns.
	File string `yaml:"-" json:"file,omitempty"`
}

// ColumnRule is one column of a Contract.
type ColumnRule struct {
	Name     string   `yaml:"name" json:"name"`
	Type     string   `yaml:"type" json:"type"` // number | integer | category | text | boolean | timestamp
	Nullable bool     `yaml:"nullable,omitempty" json:"nullable,omitempty"`
	Optional bool     `yaml:"optional,omitempty" json:"optional,omitempty"` // the column may be missing altogether
	Min      *float64 `yaml:"min,omitempty" json:"min,omitempty"`
	Max      *float64 `yaml:"max,omitempty" json:"max,omitempty"`
	Values   []string `yaml:"values,omitempty" json:"values,omitempty" spec:"anyscalar"` // allowed categories
	Pattern  string   `yaml:"pattern,omitempty" json:"pattern,omitempty"`                // RE2, matched against the whole cell
	Unique   bool     `yaml:"unique,omitempty" json:"unique,omitempty"`
	Severity string   `yaml:"severity,omitempty" json:"severity,omitempty"` // block | warn: of what is wrong with values; "": block. A missing column and a cell of another type always block

	// MinTime and MaxTime are min and max of a timestamp, as YAML writes them.
	MinTime *Instant `yaml:"-" json:"min_time,omitempty"`
	MaxTime *Instant `yaml:"-" json:"max_time,omitempty"`
}

// RowRule bounds a file's rows; 0: unbounded.
type RowRule struct {
	Min      int    `yaml:"min,omitempty" json:"min,omitempty"`
	Max      int    `yaml:"max,omitempty" json:"max,omitempty"`
	Severity string `yaml:"severity,omitempty" json:"severity,omitempty"` // block | warn; "": block
}

// Severities of what a contract asks for.
const (
	SeverityBlock = "block" // a failure refuses the file
	SeverityWarn  = "warn"  // a failure is noted
)

// Severities lists the valid ones.
func Severities() []string { return []string{SeverityBlock, SeverityWarn} }

// Expectations are checks beyond the contract.
type Expectations struct {
	Freshness         Duration     `yaml:"freshness,omitempty" json:"freshness,omitempty"`                   // newest event at most this old when the file lands; 0: not checked
	FreshnessSeverity string       `yaml:"freshness_severity,omitempty" json:"freshness_severity,omitempty"` // block | warn; "": block
	Suite             *suite.Suite `yaml:"suite,omitempty" json:"suite,omitempty"`                           // of Great Expectations; a file's name in YAML is inlined by Load
}

// Labels says when and by what labels reach predictions.
type Labels struct {
	Match       string   `yaml:"match" json:"match"` // id | prediction_id
	Delay       Duration `yaml:"delay" json:"delay"` // rows younger than this are in no window
	MinCoverage Percent  `yaml:"min_coverage" json:"min_coverage"`
}

// Split says which rows train, validate and test.
type Split struct {
	By         string    `yaml:"by" json:"by"` // time | hash ; default time where data.time is set
	Validation Percent   `yaml:"validation" json:"validation"`
	Test       TestSplit `yaml:"test" json:"test"`
	Seed       uint64    `yaml:"seed" json:"seed"`
}

// TestSplit is the part of the rows that judges.
type TestSplit struct {
	Newest  Percent  `yaml:"newest" json:"newest"`     // by time: the newest share; by hash: the share
	Max     Duration `yaml:"max" json:"max"`           // by time: at most this long; 0: unbounded
	MinRows int      `yaml:"min_rows" json:"min_rows"` // fewer rows left for a comparison: Inconclusive
}

// Train says how a version is made: Command or Builtin, exactly one.
type Train struct {
	Command   []string       `yaml:"command,omitempty" json:"command,omitempty"`
	Setup     Setup          `yaml:"setup,omitempty" json:"setup,omitzero"`
	Builtin   string         `yaml:"builtin,omitempty" json:"builtin,omitempty"` // trees | linear ; default trees
	Params    map[string]any `yaml:"params,omitempty" json:"params,omitempty"`   // numbers are float64, whole or not, as in JSON
	Search    *Search        `yaml:"search,omitempty" json:"search,omitempty"`   // nil: one training, with Params
	Resources Resources      `yaml:"resources" json:"resources"`
	Priority  int            `yaml:"priority,omitempty" json:"priority,omitempty"` // 1, first, to 5; 0: 3
	Timeout   Duration       `yaml:"timeout" json:"timeout"`
	Retries   Retries        `yaml:"retries" json:"retries"`
	Secrets   []string       `yaml:"secrets,omitempty" json:"secrets,omitempty"` // names; values live on the worker
	Code      string         `yaml:"code,omitempty" json:"code,omitempty"`       // sha256 of the packed folder beside model.yaml; set by starter apply
}

// Setup makes the programs and libraries that Train.Command and Predict.Command need, once for all runs on a worker that
// need the same. Its zero value: they need none.
type Setup struct {
	Command []string `yaml:"command,omitempty" json:"command,omitempty"`
	Files   []string `yaml:"files,omitempty" json:"files,omitempty"`     // paths beside model.yaml, of files or folders: all that Command sees. None: all of them
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"` // default 15m
}

// Predict says how versions of train.command are scored where Go doesn't read their files: by a program, file by file. Its
// zero value is a model that is scored in Go or by a remote server.
type Predict struct {
	Command []string `yaml:"command,omitempty" json:"command,omitempty"`
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"` // of one file; default 10m
}

// Resources is what one training run needs.
type Resources struct {
	CPUs   int   `yaml:"cpus" json:"cpus"`                         // threads of the trainer
	Memory Bytes `yaml:"memory,omitempty" json:"memory,omitempty"` // of each process of Command; 0: unbounded
	Disk   Bytes `yaml:"disk,omitempty" json:"disk,omitempty"`     // of an attempt's folder, what Command writes and its data; 0: 50Gi
	GPUs   int   `yaml:"gpus" json:"gpus"`
	// GPUMemory is what each GPU must have at least; 0: any. A worker is chosen by its MemoryClass.
	GPUMemory Bytes `yaml:"gpu_memory,omitempty" json:"gpu_memory,omitempty"`
	// Labels name the pool of workers that may run it: those that were told to serve exactly this set.
	Labels []string `yaml:"labels,omitempty" json:"labels,omitempty"`
}

// Retries are the budgets of further attempts by cause.
type Retries struct {
	Script         int `yaml:"script" json:"script"`
	Infrastructure int `yaml:"infrastructure" json:"infrastructure"`
	Preemption     int `yaml:"preemption" json:"preemption"`
}

// Gates decide whether a version may be approved. Metrics maps a metric's name to its bounds.
// In YAML and JSON the metrics stand beside disparity and champion.
type Gates struct {
	Metrics   map[string]Bound `yaml:"-" json:"-"`
	Disparity *Disparity       `yaml:"disparity,omitempty" json:"disparity,omitempty"`
	Champion  ChampionGate     `yaml:"champion" json:"champion"`
}

// Bound is an inclusive range; nil: open.
type Bound struct {
	Min *float64 `yaml:"min,omitempty" json:"min,omitempty"`
	Max *float64 `yaml:"max,omitempty" json:"max,omitempty"`
}

// Disparity bounds the difference of a metric between the best and the worst group of a column.
type Disparity struct {
	By      string  `yaml:"by" json:"by"`
	Metric  string  `yaml:"metric" json:"metric"`
	Max     float64 `yaml:"max" json:"max"`
	MinRows int     `yaml:"min_rows,omitempty" json:"min_rows,omitempty"` // smaller groups are left out; default 50
}

// ChampionGate is the comparison with the champion on the same rows: the lower bound of the paired bootstrap
// difference at Confidence is no worse than -MaxLoss.
type ChampionGate struct {
	Metric     string  `yaml:"metric" json:"metric"`     // default: roc_auc | log_loss | rmse by task
	MaxLoss    float64 `yaml:"max_loss" json:"max_loss"` // in units of Metric
	Confidence float64 `yaml:"confidence" json:"confidence"`
}

// Approval says who may decide.
type Approval struct {
	Approvers []string `yaml:"approvers" json:"approvers"` // slack:U012AB | cli:ana | cli:* (everyone that way); empty: nobody may approve
	Quorum    int      `yaml:"quorum" json:"quorum"`
	FourEyes  bool     `yaml:"four_eyes" json:"four_eyes"` // the requester can't approve alone
	Timeout   Duration `yaml:"timeout" json:"timeout"`
	OnTimeout string   `yaml:"on_timeout" json:"on_timeout"` // reject (the only one: silence never promotes)
}

// Serving says how requests are routed and logged.
type Serving struct {
	StickyBy string     `yaml:"sticky_by,omitempty" json:"sticky_by,omitempty"` // request field; "": at random
	Mirror   Percent    `yaml:"mirror,omitempty" json:"mirror,omitempty"`       // share of the champion's requests that a challenger gets a copy of, which nobody waits for
	Log      ServingLog `yaml:"log" json:"log"`

	UnknownCategories   string            `yaml:"unknown_categories,omitempty" json:"unknown_categories,omitempty"`       // missing | refuse; "": missing. What a request with a category that training didn't see is
	UnknownCategoriesOf map[string]string `yaml:"unknown_categories_of,omitempty" json:"unknown_categories_of,omitempty"` // the same of single features

	// Target is who serves: TargetGateway ("" is the same), or TargetCommand: whatever Command drives. The fields below are
	// of the latter alone, those above of gateways.
	Target  string          `yaml:"target,omitempty" json:"target,omitempty"`
	Command []string        `yaml:"command,omitempty" json:"command,omitempty"` // run with a verb as its last argument: docs/serving-targets.md
	Timeout Duration        `yaml:"timeout,omitempty" json:"timeout,omitempty"` // of one verb; default 2m
	Secrets []string        `yaml:"secrets,omitempty" json:"secrets,omitempty"` // names; values live on the worker
	Metrics *ServingMetrics `yaml:"metrics,omitempty" json:"metrics,omitempty"` // what both arms served; nil: nothing is measured, and no canary passes
}

// What a request with a category that training didn't see is.
const (
	UnknownMissing = "missing" // its value is a null
	UnknownRefuse  = "refuse"  // it is refused, by name
)

// UnknownPolicy is the word on a feature's unknown categories.
func (s Serving) UnknownPolicy(feature string) string {
	return cmp.Or(s.UnknownCategoriesOf[feature], s.UnknownCategories, UnknownMissing)
}

// ServingLog says which share of predictions is logged.
type ServingLog struct {
	Sample Percent `yaml:"sample" json:"sample"`
}

// Canary is how a challenger meets real traffic.
type Canary struct {
	Steps     []Step   `yaml:"steps" json:"steps"`
	Interval  Duration `yaml:"interval" json:"interval"`
	Deadline  Duration `yaml:"deadline" json:"deadline"`
	OnFailure string   `yaml:"on_failure" json:"on_failure"` // rollback | pause | ask
	// AnswerWithin is how long on_failure ask waits for a person; unset elsewhere.
	AnswerWithin Duration       `yaml:"answer_within,omitempty" json:"answer_within,omitempty"`
	MaxErrorRate Percent        `yaml:"max_error_rate" json:"max_error_rate"`       // the challenger's excess over the champion's error rate
	MaxSlowdown  float64        `yaml:"max_slowdown" json:"max_slowdown"`           // challenger / champion, of each latency quantile
	MaxPSI       float64        `yaml:"max_psi,omitempty" json:"max_psi,omitempty"` // of the challenger's predictions against the champion's; 0: not compared
	Limits       CanaryLimits   `yaml:"limits,omitempty" json:"limits,omitzero"`
	Quality      *CanaryQuality `yaml:"quality,omitempty" json:"quality,omitempty"` // nil: labels aren't looked at
}

// Values of Canary.OnFailure.
const (
	OnFailureRollback = "rollback" // all traffic back to the champion: the canary ends
	OnFailurePause    = "pause"    // weight 0 at once; a person resumes, promotes or aborts
	OnFailureAsk      = "ask"      // the weight stays; without an answer in time it is rolled back
)

// CanaryLimits bound the challenger by itself; 0: not bounded.
type CanaryLimits struct {
	ErrorRate    Percent `yaml:"error_rate,omitempty" json:"error_rate,omitempty"`
	LatencyP50MS float64 `yaml:"latency_p50_ms,omitempty" json:"latency_p50_ms,omitempty"`
	LatencyP95MS float64 `yaml:"latency_p95_ms,omitempty" json:"latency_p95_ms,omitempty"`
	LatencyP99MS float64 `yaml:"latency_p99_ms,omitempty" json:"latency_p99_ms,omitempty"`
}

// CanaryQuality compares both arms on the answers that labels reach during the canary.
type CanaryQuality struct {
	Metric   string  `yaml:"metric" json:"metric"`
	MaxLoss  float64 `yaml:"max_loss" json:"max_loss"` // how much worse the challenger may be, in the metric's unit
	MinRows  int     `yaml:"min_rows" json:"min_rows"` // labelled answers of each arm
	Required bool    `yaml:"required" json:"required"` // false: too few labels hold nothing up
}

// Step is one weight and how long it is held.
type Step struct {
	Weight      Percent  `yaml:"weight" json:"weight"`
	Hold        Duration `yaml:"hold" json:"hold"`
	MinRequests int      `yaml:"min_requests" json:"min_requests"` // on the challenger's arm
}

// Monitor is what is watched by schedule.
type Monitor struct {
	Drift   DriftMonitor   `yaml:"drift" json:"drift"`
	Quality QualityMonitor `yaml:"quality" json:"quality"`
}

// DriftMonitor compares the production window with the champion's training rows.
type DriftMonitor struct {
	Every      Duration `yaml:"every" json:"every"` // 0: off
	Window     Duration `yaml:"window" json:"window"`
	MinRows    int      `yaml:"min_rows" json:"min_rows"`
	MaxDrifted int      `yaml:"max_drifted" json:"max_drifted"` // more drifted features than this: alert
	// MaxShare, where it is over 0, takes MaxDrifted's place: a larger share of drifted features than this alerts.
	MaxShare   Percent           `yaml:"max_share,omitempty" json:"max_share,omitempty"`
	PSI        float64           `yaml:"psi" json:"psi"`                                   // any PSI over this: alert
	Exclude    []string          `yaml:"exclude,omitempty" json:"exclude,omitempty"`       // from the alert: compared and reported, not counted
	Methods    map[string]string `yaml:"methods,omitempty" json:"methods,omitempty"`       // of single columns: ks | chi2 | ztest | wasserstein | js | psi
	Correction string            `yaml:"correction,omitempty" json:"correction,omitempty"` // of p-values for the number of features: bh, or none
	AlertAfter KOfN              `yaml:"alert_after" json:"alert_after"`
}

// QualityMonitor compares labelled predictions with what the champion had on its test rows.
type QualityMonitor struct {
	Every         Duration `yaml:"every" json:"every"` // 0: off
	Window        Duration `yaml:"window" json:"window"`
	Metric        string   `yaml:"metric" json:"metric"`                 // of which more is better: f1, or r2 for regression
	BelowBaseline float64  `yaml:"below_baseline" json:"below_baseline"` // observed < this x baseline is a failure
	MinRows       int      `yaml:"min_rows" json:"min_rows"`
	// Estimate is what comes of a classifier's quality as it is estimated where labels are too few: EstimateReport
	// ("" is the same), EstimateAlert or EstimateOff.
	Estimate string `yaml:"estimate,omitempty" json:"estimate,omitempty"`
}

// What the quality monitor does with an estimate.
const (
	EstimateReport = "report" // it is shown, stored and told; it starts nothing
	EstimateAlert  = "alert"  // it alerts as observed quality does, where labels are too few
	EstimateOff    = "off"
)

// KOfN is "k of n" windows, written "2 of 3".
type KOfN struct {
	K int
	N int
}

// Retrain says what starts a run besides a person.
type Retrain struct {
	On           []string `yaml:"on" json:"on"`                         // new_data | quality | drift | cron
	Cron         string   `yaml:"cron,omitempty" json:"cron,omitempty"` // five fields, UTC; needs "cron" in On
	MinNewRows   int      `yaml:"min_new_rows" json:"min_new_rows"`
	Cooldown     Duration `yaml:"cooldown" json:"cooldown"`
	MuteIfNoGain bool     `yaml:"mute_if_no_gain" json:"mute_if_no_gain"`
}

// Notify says where people are told. Team channels.
type Notify struct {
	Slack string `yaml:"slack,omitempty" json:"slack,omitempty"` // channel name or id
}

// Budget bounds cost; zero: unbounded.
type Budget struct {
	PerRun   Money   `yaml:"per_run,omitempty" json:"per_run,omitzero"`
	PerMonth Money   `yaml:"per_month,omitempty" json:"per_month,omitzero"`
	PerHour  float64 `yaml:"cost_per_hour,omitempty" json:"cost_per_hour,omitempty"` // of one training slot, a GPU where there are any, in the budget's currency
}
