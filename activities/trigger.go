package activities

import (
	"fmt"
	"time"
)

// Kinds of triggers.
const (
	TriggerData    = "new_data"
	TriggerDrift   = "drift"
	TriggerQuality = "quality"
	TriggerCron    = "cron"
	TriggerPerson  = "person"
)

// Object names one version of one object in a bucket.
type Object struct {
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	ETag      string    `json:"etag,omitempty"`
	VersionID string    `json:"version_id,omitempty"`
	Size      int64     `json:"size,omitempty"`
	Modified  time.Time `json:"modified"`
}

// URL is the object's s3:// address.
func (o Object) URL() string { return "s3://" + o.Bucket + "/" + o.Key }

// Identity deduplicates events about the object: the same bytes at the same place are one event, however often told.
func (o Object) Identity() string {
	if o.VersionID != "" {
		return fmt.Sprintf("%s/%s?version=%s", o.Bucket, o.Key, o.VersionID)
	}
	return fmt.Sprintf("%s/%s#%s", o.Bucket, o.Key, o.ETag)
}

// Trigger is one reason to run a lifecycle. Key deduplicates: a second trigger with a key that was taken is dropped.
type Trigger struct {
	Kind   string  `json:"kind"`
	Key    string  `json:"key"`
	Object *Object `json:"object,omitempty"` // new_data
	Actor  string  `json:"actor,omitempty"`  // person
	Via    string  `json:"via,omitempty"`
	Reason string  `json:"reason,omitempty"`
	Force  bool    `json:"force,omitempty"` // run even where snapshot and spec are unchanged
	// Resume is a person's: the run goes on where another one ended.
	Resume *Resume `json:"resume,omitempty"`
	// NoCache runs every stage anew.
	NoCache bool    `json:"no_cache,omitempty"`
	Import  *Import `json:"import,omitempty"` // person: a model that takes the place of training
	// Champion is the version that a monitor watched; once it isn't the champion any more, the trigger says nothing.
	Champion int       `json:"champion,omitempty"`
	At       time.Time `json:"at"`
}
