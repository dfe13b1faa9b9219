package intake

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// maxEvent bounds one delivery; S3 sends one record a delivery, of about 1 KiB.
const maxEvent = 1 << 20

// event is what S3 servers send: Records of object events, or a test event without any.
type event struct {
	Event   string
	Records []struct {
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
}

// Handler takes S3 events by HTTP. An event is only a hint, so nothing in it is trusted or needed: a delivery that
// reads as an event asks the sweeper to look, whatever key it names, encoded or not.
func Handler(s *Sweeper, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "POST an S3 event notification", http.StatusMethodNotAllowed)
			return
		}
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
		if err != nil {
			http.Error(w, "event too large", http.StatusRequestEntityTooLarge)
			return
		}
		var e event
		if err := json.Unmarshal(raw, &e); err != nil {
			http.Error(w, "not an S3 event notification: "+err.Error(), http.StatusBadRequest)
			return
		}
		for _, record := range e.Records {
			if own(record.S3.Object.Key) {
				continue // a server with one webhook for everything tells of our own writes too
			}
			log.Info("landed", "event", record.EventName, "bucket", record.S3.Bucket.Name, "key", record.S3.Object.Key)
			s.Hint()
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// own reports whether a key lies where leanloop itself writes.
func own(key string) bool {
	folder, _, _ := strings.Cut(key, "/")
	return slices.Contains([]string{"audit", "code", "datasets", "gateways", "models", "monitor", "predictions", "probe", "runs"}, folder)
}
