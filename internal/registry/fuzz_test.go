package registry

import (
	"encoding/json"
	"testing"
)

// FuzzDecodeEntry holds the decoder to: no panic, nothing accepted that its own encoder and rules would not bear.
func FuzzDecodeEntry(f *testing.F) {
	f.Add([]byte(`{"format":1,"seq":1,"time":"2013-01-01T00:00:01Z","actor":"a","key":"k","command":{"kind":"rolled_back"},"previous":"","state":{"model":"m1","seq":1,"champion":0,"challenger":0,"weight":0,"epoch":0}}`))
	f.Add([]byte(`{"format":1,"seq":2,"previous":"00","state":{"seq":2,"champion":1,"versions":[{"number":1,"status":"champion","metrics":{"f1":1e308}}]}}`))
	f.Add([]byte(`{"format":1,"seq":1,"state":{"seq":1,"lease":{"run":"r"},"challenger":1,"weight":0.5,"versions":[{"number":1,"status":"canary"}]}}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := decodeEntry(raw)
		if err != nil {
			return
		}
		if err := e.State.check(); err != nil {
			t.Fatalf("accepted an impossible state: %v", err)
		}
		again, err := encode(e.stored())
		if err != nil {
			t.Fatalf("accepted what can't be stored: %v", err)
		}
		back, err := decodeEntry(again)
		if err != nil {
			t.Fatalf("doesn't read what it wrote: %v\n%s", err, again)
		}
		a, _ := json.Marshal(e)
		b, _ := json.Marshal(back)
		if string(a) != string(b) {
			t.Fatalf("changed on the way:\n%s\n%s", a, b)
		}
		_, _ = Apply(e.State, e.Command) // whatever is stored, the rules don't panic on it
	})
}

// FuzzDecodeIndexEntry is the same for a data set's index.
func FuzzDecodeIndexEntry(f *testing.F) {
	f.Add([]byte(`{"format":1,"seq":1,"time":"2013-01-01T00:00:01Z","key":"k","decision":{"kind":"refused","refusal":{"source":"s3://lake/a","reason":"r","at":"2013-01-01T00:00:01Z"}},"previous":"","state":{"dataset":"d1","seq":1}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := decodeIndexEntry(raw)
		if err != nil {
			return
		}
		again, err := encode(e)
		if err != nil {
			t.Fatalf("accepted what can't be stored: %v", err)
		}
		if _, err := decodeIndexEntry(again); err != nil {
			t.Fatalf("doesn't read what it wrote: %v\n%s", err, again)
		}
		_, _ = applyDecision(e.State, e.Key+"2", e.Decision)
	})
}

// FuzzDecodeManifest holds manifests to names that stay in their folder.
func FuzzDecodeManifest(f *testing.F) {
	f.Add([]byte(`{"format":1,"files":{"model.json":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m Manifest
		if decodeStrict(raw, &m) != nil || m.check() != nil {
			return
		}
		for name := range m.Files {
			if name[0] == '/' || name == ".." || len(name) > 2 && name[:3] == "../" {
				t.Fatalf("accepted the name %q", name)
			}
		}
	})
}

// FuzzDecodeRouting holds a follower to: no panic, and nothing to route by that makes no sense, whatever is stored.
func FuzzDecodeRouting(f *testing.F) {
	f.Add([]byte(`{"format":1,"seq":2,"state":{"model":"m1","champion":1,"challenger":2,"weight":0.5,"lease":{"expires_at":"2026-01-01T00:00:00Z"},"versions":[{"number":1,"artifact":"00"},{"number":2}]}}`))
	f.Add([]byte(`{"format":7,"min_reader":1,"state":{"model":"m1","weight":1e300}}`))
	f.Add([]byte(`{"state":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := decodeRouting(raw, "m1")
		if err != nil {
			return
		}
		if !(r.Weight >= 0 && r.Weight <= 1) || r.Weight > 0 && r.Challenger == (Slot{}) {
			t.Fatalf("weight %v for challenger %+v", r.Weight, r.Challenger)
		}
		for _, slot := range []Slot{r.Champion, r.Challenger} {
			if slot.Number != 0 && checkDigest("artifact", slot.Artifact) != nil {
				t.Fatalf("routes to %+v", slot)
			}
		}
	})
}
