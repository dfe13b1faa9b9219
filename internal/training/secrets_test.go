package training

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

const aKey = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----\n"

func TestNoLogShowsASecret(t *testing.T) {
	secrets := map[string]string{"TOKEN": "tok-123456", "LONGER": "tok-123456-and-more", "KEY": aKey, "REGION": "eu"}
	var stored bytes.Buffer
	var seen Progress
	log := newProgramLog(&stored, secrets, func(p Progress) { seen = p })
	printed := "401 for https://api/?token=tok-123456&region=eu\n" + aKey + "tok-123456-and-more\n" + `{"step":2,"metrics":{"tok-123456":1}}` + "\nthe end: tok-123456"
	log.read(strings.NewReader(printed), true)
	for where, text := range map[string]string{"the log": stored.String(), "an error's last lines": strings.Join(log.lines(), "\n")} {
		for _, secret := range []string{"tok-123456", "MIIEvQ", "and-more"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %s: %s", where, secret, text)
			}
		}
		if !strings.Contains(text, "401 for https://api/?token=***&region=eu\n") || !strings.HasSuffix(text, "\n***\nthe end: ***") {
			t.Errorf("%s is %q", where, text)
		}
	}
	if _, shown := seen.Metrics["tok-123456"]; shown || seen.Step != 2 {
		t.Errorf("progress is %+v", seen)
	}
}

func TestAProgramsErrorShowsNoSecret(t *testing.T) {
	p := shell(t, `echo "401: $TOKEN" >&2; exit 1`)
	p.Env = map[string]string{"TOKEN": "tok-123456"}
	_, err := RunProgram(context.Background(), p)
	if err == nil || !strings.HasSuffix(err.Error(), "its last lines: 401: ***") {
		t.Fatalf("observed %v", err)
	}
}
