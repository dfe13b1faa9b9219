package serving_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/serving"
)

func TestASignedOrderNeedsTheTokenItsWordsAndItsTime(t *testing.T) {
	token, err := serving.NewToken(adminToken)
	require.NoError(t, err)
	another, err := serving.NewToken(adminToken + "x")
	require.NoError(t, err)
	for _, c := range []struct {
		name   string
		by     *serving.Token
		age    time.Duration // of the order when it arrives
		change func(*http.Request)
		says   string // "": it is done
	}{
		{name: "an order", by: token},
		{name: "an order from a clock that is a minute ahead", by: token, age: -time.Minute},
		{name: "an order that was on its way for a minute", by: token, age: time.Minute},
		{name: "an old order", by: token, age: 3 * time.Minute, says: "the order was signed at 2026-03-01T11:57:00Z and it is 2026-03-01T12:00:00Z here"},
		{name: "an order of the future", by: token, age: -3 * time.Minute, says: "set the clocks"},
		{name: "an order by another token", by: another, says: "isn't signed with this gateway's admin token"},
		{name: "other words", by: token, change: func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(`{"actor": "cli:ana", "reason": "errors all over", "to": 1}`))
		}, says: "isn't signed"},
		{name: "another model", by: token, change: func(r *http.Request) { r.URL.Path = "/admin/rollback/other" }, says: "isn't signed"},
		{name: "another time", by: token, change: func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "Leanloop-Hmac 1", "Leanloop-Hmac 2", 1))
		}, says: "isn't signed"},
		{name: "no signature", by: token, change: func(r *http.Request) { r.Header.Set("Authorization", "Leanloop-Hmac ") }, says: "isn't signed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := withCanary(t, 1, withToken)
			req := httptest.NewRequest(http.MethodPost, "/admin/rollback/"+modelName, strings.NewReader(order))
			c.by.Sign(req, []byte(order), w.clock.Now().Add(-c.age))
			require.NotContains(t, req.Header.Get("Authorization"), adminToken)
			if c.change != nil {
				c.change(req)
			}
			rec := httptest.NewRecorder()
			w.server.AdminHandler().ServeHTTP(rec, req)
			if c.says != "" {
				require.Equal(t, http.StatusUnauthorized, rec.Code)
				require.Contains(t, rec.Body.String(), c.says)
				require.EqualValues(t, 2, w.served())
				return
			}
			require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
			require.EqualValues(t, 1, w.served())
			var answer serving.RollbackAnswer
			require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &answer))
			body := rec.Body.Bytes()
			require.True(t, token.Answered(req, rec.Result(), body))
			require.False(t, token.Answered(req, rec.Result(), bytes.Replace(body, []byte("gw-1"), []byte("gw-2"), 1)))
			require.False(t, another.Answered(req, rec.Result(), body))
		})
	}
}
