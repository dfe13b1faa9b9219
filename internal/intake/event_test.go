package intake_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/intake"
)

// awsEvent is what S3 sends: keys are URL-encoded.
const awsEvent = `{"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1", "eventTime": "2013-06-01T12:00:00.000Z",
 "eventName": "ObjectCreated:Put", "userIdentity": {"principalId": "AWS:X"}, "s3": {"s3SchemaVersion": "1.0", "configurationId": "landed",
 "bucket": {"name": "lake", "ownerIdentity": {"principalId": "X"}, "arn": "arn:aws:s3:::lake"},
 "object": {"key": "flights/2013+01%C3%A9.csv", "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0055AED6DCD90281E5"}}}]}`

// versitygwEvent is what versitygw sends: an s3: prefix, and keys as they are.
const versitygwEvent = `{"Records": [{"eventVersion": "2.2", "eventSource": "aws:s3", "eventName": "s3:ObjectCreated:Put",
 "s3": {"bucket": {"name": "leanloop"}, "object": {"key": "landing/flights/2013 01.csv", "size": 10, "eTag": "x"}}}]}`

func sns(message string) string {
	raw, err := json.Marshal(map[string]string{"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": message})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func keyed(bucket, key string) string {
	return fmt.Sprintf(`{"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": %q}, "object": {"key": %q}}}]}`, bucket, key)
}

func TestDeliveriesAskForASweep(t *testing.T) {
	for _, c := range []struct {
		name, body string
		status     int
		sweeps     bool
	}{
		{"an event of S3", awsEvent, http.StatusNoContent, true},
		{"an event of versitygw", versitygwEvent, http.StatusNoContent, true},
		{"an event in SNS's envelope", sns(awsEvent), http.StatusNoContent, true},
		{"S3's test event", `{"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2013-06-01T12:00:00.000Z", "Bucket": "lake"}`, http.StatusNoContent, false},
		{"S3's test event in SNS's envelope", sns(`{"Event": "s3:TestEvent"}`), http.StatusNoContent, false},
		{"another message of SNS", sns("You have chosen to subscribe"), http.StatusNoContent, false},
		{"our own writes", keyed("leanloop", "models/flights/ledger/000000000001.json"), http.StatusNoContent, false},
		{"our own predictions", keyed("leanloop", "predictions/flights/dt=2013-06-01/hh=12/1-gw-1.csv.gz"), http.StatusNoContent, false},
		{"a landing prefix that is called like one of ours", keyed("lake", "runs/today/a.csv"), http.StatusNoContent, true},
		{"the same folder in another bucket", keyed("leanloop", "runs/today/a.csv"), http.StatusNoContent, false},
		{"records without anything in them", `{"Records": [{}]}`, http.StatusNoContent, true},
		{"no records", `{}`, http.StatusNoContent, false},
		{"nothing", ``, http.StatusBadRequest, false},
		{"text", `landed!`, http.StatusBadRequest, false},
		{"records that are none", `{"Records": "all"}`, http.StatusBadRequest, false},
		{"a list", `[]`, http.StatusBadRequest, false},
		{"too much", `{"Records": [` + strings.Repeat(" ", 1<<20) + `]}`, http.StatusRequestEntityTooLarge, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.apply("flights", "s3://lake/flights/")
			w.apply("runs", "s3://lake/runs/today/")
			s := w.sweeper(intake.Config{Every: time.Hour})
			require.NoError(t, s.Sweep(t.Context(), t0, true))
			answer := httptest.NewRecorder()
			intake.Handler(s, slog.New(slog.DiscardHandler)).ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/events/s3", strings.NewReader(c.body)))
			require.Equal(t, c.status, answer.Code, answer.Body.String())
			require.Equal(t, c.sweeps, s.Hinted())
			require.False(t, s.Hinted(), "one sweep is enough")
		})
	}
}

func TestOnlyAPostIsADelivery(t *testing.T) {
	s := newWorld(t).sweeper(intake.Config{})
	answer := httptest.NewRecorder()
	intake.Handler(s, slog.New(slog.DiscardHandler)).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/events/s3", nil))
	require.Equal(t, http.StatusMethodNotAllowed, answer.Code)
	require.Equal(t, http.MethodPost, answer.Header().Get("Allow"))
}

// Whatever is delivered is answered, and never by a fault of ours.
func FuzzHandler(f *testing.F) {
	for _, seed := range []string{awsEvent, versitygwEvent, sns(awsEvent), `{"Records": null}`, `{"Message": "{"}`, `{"Records": [null]}`, `"`, "\xff"} {
		f.Add([]byte(seed))
	}
	w := newWorld(&testing.T{})
	handler := intake.Handler(w.sweeper(intake.Config{}), slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, body []byte) {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/events/s3", strings.NewReader(string(body))))
		if answer.Code != http.StatusNoContent && answer.Code != http.StatusBadRequest && answer.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("answered %d", answer.Code)
		}
	})
}
