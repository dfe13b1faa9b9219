package intake

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// maxEvent bounds one delivery; S3 sends one record a delivery, of about 1 KiB.
const maxEvent = 1 << 20

// event is what S3 servers send: Records of object events, or a test event without any. SNS puts one into Message.
type event struct {
	Message string
	Records []record
}

// record is one object event.
type record struct {
	EventName string `json:"eventName"`
	S3        struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key string `json:"key"`
		} `json:"object"`
	} `json:"s3"`
}

// Handler takes S3 events by HTTP. An event is only a hint, so nothing in it is trusted or needed: a delivery that
// reads as an event asks the sweeper to look, whatever key it names, encoded or not.
func Handler(s *Sweeper, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "POST an S3 event notification", http.StatusMethodNotAllowed)
			return
		}
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			http.Error(w, "event too large", http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "event not read", http.StatusBadRequest)
			return
		}
		e, err := parse(raw)
		if err != nil {
			http.Error(w, "not an S3 event notification: "+err.Error(), http.StatusBadRequest)
			return
		}
		if r, n := e.landed(s); n > 0 {
			log.Info("landed", "event", r.EventName, "bucket", r.S3.Bucket.Name, "key", r.S3.Object.Key, "records", n)
			s.Hint()
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// landed is the first record that may be about a landed file, and how many are. A server with one webhook for everything
// tells of our own writes too.
func (e event) landed(s *Sweeper) (first record, n int) {
	for _, r := range e.Records {
		if key := r.S3.Object.Key; own(key) && !s.watches(r.S3.Bucket.Name, key) {
			continue
		}
		if n++; n == 1 {
			first = r
		}
	}
	return first, n
}

// parse reads a delivery, taken out of SNS's envelope where it is in one.
func parse(raw []byte) (event, error) {
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		return event{}, err
	}
	if e.Message == "" || len(e.Records) > 0 {
		return e, nil
	}
	var inner event
	if json.Unmarshal([]byte(e.Message), &inner) != nil {
		return e, nil // some other message of SNS: nothing landed
	}
	return inner, nil
}

// own reports whether a key lies where leanloop itself writes.
func own(key string) bool {
	folder, _, _ := strings.Cut(key, "/")
	return slices.Contains([]string{"audit", "code", "datasets", "gateways", "inbox", "models", "monitor", "predictions", "probe", "runs"}, folder)
}
