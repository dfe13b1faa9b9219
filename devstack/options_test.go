package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no folder":                  {nil, "--data is missing"},
		"an unknown attribute type":  {[]string{"--search-attribute", "A=String"}, `type "String" is not one of Bool`},
		"an attribute without type":  {[]string{"--search-attribute", "A"}, "want Name=Type"},
		"one attribute of two types": {[]string{"--search-attribute", "A=Int", "--search-attribute", "A=Bool"}, "A is given as Int and as Bool"},
		"a short bucket name":        {[]string{"--bucket", "ab"}, `"ab" has 2 characters`},
		"retention under an hour":    {[]string{"--retention", "5m"}, "5m0s < 1h0m0s"},
		"a port twice":               {[]string{"--s3-port", "9000", "--ui-port", "9000"}, "both 9000"},
		"a port that is none":        {[]string{"--s3-port", "70000"}, "--s3-port: 70000"},
		"a URL without scheme":       {[]string{"--s3", "localhost:9000"}, "want http://host:port"},
		"an address without port":    {[]string{"--temporal", "localhost"}, "want host:port"},
		"a CLI that is missing":      {[]string{"--temporal-cli", "/nowhere/temporal"}, "--temporal-cli"},
		"an argument":                {[]string{"start"}, `unexpected argument "start"`},
	} {
		t.Run(name, func(t *testing.T) {
			args := c.args
			if name != "no folder" {
				args = append([]string{"--data", t.TempDir()}, args...)
			}
			_, err := parseOptions(args, env(), io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestOptionsComeFromFlagsAndEnvironment(t *testing.T) {
	o, err := parseOptions([]string{
		"--data", "d", "--bucket", "lake", "--bucket", "lake", "--s3", "http://key:secret@localhost:9000", "--retention", "2h",
	}, env("TEMPORAL_ADDRESS", "temporal:7233", "AWS_REGION", "eu-west-1", "INFLUX_TOKEN", "tok"), io.Discard)
	must(t, err)
	if !filepath.IsAbs(o.data) {
		t.Errorf("data folder %q is not absolute", o.data)
	}
	if o.temporal != "temporal:7233" || o.temporalCLI != "" {
		t.Errorf("temporal %q, cli %q: TEMPORAL_ADDRESS doesn't count", o.temporal, o.temporalCLI)
	}
	if len(o.buckets) != 1 || o.retention != 2*time.Hour || o.s3Region != "eu-west-1" || o.influxToken != "tok" {
		t.Errorf("options %+v", o)
	}
	if o.s3 != "http://localhost:9000" || o.s3Keys != (credentials{"key", "secret"}) {
		t.Errorf("s3 %q with %+v: the URL's user info is its keys", o.s3, o.s3Keys)
	}
}

func TestPortsAreKeptWhileFree(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	busy := l.Addr().(*net.TCPAddr).Port

	p := newPicker()
	free, err := p.choose("s3", 0, 0)
	must(t, err)
	if again, err := newPicker().choose("s3", 0, free); err != nil || again != free {
		t.Errorf("the free previous port %d became %d (%v)", free, again, err)
	}
	if other, err := newPicker().choose("s3", 0, busy); err != nil || other == busy {
		t.Errorf("the busy previous port %d was given (%v)", busy, err)
	}
	if _, err := newPicker().choose("s3", busy, 0); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a busy fixed port gives %v, want an error", err)
	}
	if other, err := p.choose("ui", 0, free); err != nil || other == free {
		t.Errorf("port %d was given twice (%v)", free, err)
	}
}

func TestKeysAreMadeOnceAndPrivate(t *testing.T) {
	dir := t.TempDir()
	first, err := loadKeys(dir)
	must(t, err)
	second, err := loadKeys(dir)
	must(t, err)
	if first != second || len(first.SecretKey) < 32 {
		t.Errorf("keys %+v, then %+v", first, second)
	}
	info, err := os.Stat(filepath.Join(dir, keysName))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v, want 0600", keysName, info.Mode())
	}
	must(t, os.WriteFile(filepath.Join(dir, keysName), []byte("{}"), 0o600))
	if _, err := loadKeys(dir); err == nil {
		t.Error("empty keys are taken: anyone could sign with them")
	}
}
