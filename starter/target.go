package main

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/temporalx"
)

// target is where commands go: flags, then the environment, then the newest development stack.
type target struct {
	connection temporalx.Connection
	s3         objectstore.S3Config
	bucket     string
	ui         string // Temporal UI's URL; "": unknown
	namespace  string // for links
	dev        string // data folder of the development stack that is used; "": none
}

// resolve decides where commands go, once, and says so on stderr where nobody named it.
func (a *app) resolve() (*target, error) {
	if a.target != nil {
		return a.target, nil
	}
	t := &target{connection: a.flags.connection, bucket: a.flags.bucket, ui: a.env("LEANLOOP_TEMPORAL_UI")}
	dev, err := a.devContext()
	if err != nil {
		return nil, err
	}
	if dev != nil {
		t.use(*dev)
	}
	if dev != nil && a.flags.dev == "" {
		a.say("using the development stack of %s (Temporal %s, S3 %s)", dev.Data, dev.Temporal, dev.S3.Endpoint)
	}
	t.bucket = first(t.bucket, a.env("LEANLOOP_BUCKET"), devBucket(dev), defaultBucket)
	t.namespace = first(t.connection.Namespace, a.env("TEMPORAL_NAMESPACE"), "default")
	a.target = t
	return t, nil
}

// devContext is the development stack to use: the one that --dev names, or the newest one if nothing else is named.
func (a *app) devContext() (*DevContext, error) {
	if a.flags.dev != "" {
		c, err := ReadDevContext(a.flags.dev)
		if err != nil {
			return nil, notFound("a development stack of "+a.flags.dev, fmt.Sprintf("%v; `starter dev --data %s` starts one", err, a.flags.dev))
		}
		return &c, nil
	}
	if a.flags.connection.Address != "" || a.flags.connection.Profile != "" {
		return nil, nil
	}
	if a.anySet("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE", "AWS_ENDPOINT_URL_S3") {
		return nil, nil
	}
	var c DevContext
	dir, err := a.configDir()
	if err == nil { // a system without such a folder has no stack to remember
		var ok bool
		if c, ok, err = NewestDevContext(dir); err != nil {
			return nil, err
		} else if ok {
			return &c, nil
		}
	}
	if a.flags.bucket != "" || a.anySet("LEANLOOP_BUCKET", "AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_REGION",
		"AWS_DEFAULT_REGION", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI") {
		return nil, nil
	}
	// Going on would ask whatever credentials this machine has for a bucket that nobody named.
	again := "starter dev"
	if c.Data != "" {
		again += " --data " + c.Data
	}
	return nil, usagef("no servers: %q starts some here; yours are named by --temporal and the AWS_* variables", again)
}

// anySet is whether one of the variables has a value.
func (a *app) anySet(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return a.env(name) != "" })
}

// use takes a development stack's addresses.
func (t *target) use(c DevContext) {
	t.connection.Address = c.Temporal
	t.connection.Namespace = first(t.connection.Namespace, c.Namespace)
	t.connection.Plain = c.OwnTemporal
	t.s3 = objectstore.S3Config{
		Endpoint: c.S3.Endpoint, Region: c.S3.Region, AccessKey: c.S3.AccessKey, SecretKey: c.S3.SecretKey, PathStyle: true,
	}
	t.ui, t.dev = first(t.ui, c.TemporalUI), c.Data
}

// link is a workflow's page in the Temporal UI; "" where the UI isn't known.
func (t *target) link(workflowID string) string {
	if t.ui == "" {
		return ""
	}
	return fmt.Sprintf("%s/namespaces/%s/workflows/%s", t.ui, url.PathEscape(t.namespace), url.PathEscape(workflowID))
}

// link is a workflow's page in the Temporal UI.
func (a *app) link(workflowID string) string {
	t, err := a.resolve()
	if err != nil {
		return ""
	}
	return t.link(workflowID)
}

func devBucket(c *DevContext) string {
	if c == nil {
		return ""
	}
	return c.Bucket
}

// first is the first of the values that isn't empty.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
