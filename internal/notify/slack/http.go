package slack

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
)

// maxBody bounds an interaction in bytes: Slack's carry the message they belong to, some tens of kilobytes.
const maxBody = 1 << 20

// ServeHTTP takes interactions by HTTP: Slack's "Request URL". Nothing of a request is read as more than bytes before
// its signature holds.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, err error) {
		a.c.Log.Warn("slack interaction refused", "status", status, "from", r.RemoteAddr, "error", a.redact(err))
		http.Error(w, http.StatusText(status), status)
	}
	if a.c.SigningSecret == "" {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		fail(http.StatusMethodNotAllowed, errors.New("method "+r.Method))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, huge := errors.AsType[*http.MaxBytesError](err); huge {
		fail(http.StatusRequestEntityTooLarge, err)
		return
	} else if err != nil {
		fail(http.StatusBadRequest, err)
		return
	}
	if err := verify(a.c.SigningSecret, r.Header, body, a.c.Now()); err != nil {
		fail(http.StatusUnauthorized, err)
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		fail(http.StatusUnsupportedMediaType, errors.New("content type isn't application/x-www-form-urlencoded"))
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["payload"]) != 1 {
		fail(http.StatusBadRequest, errors.New("the form has not one payload"))
		return
	}
	answer, next, err := a.accept(r.Context(), []byte(form.Get("payload")))
	if err != nil {
		fail(statusOf(err), err)
		return
	}
	out, err := encode(answer)
	if err != nil {
		fail(http.StatusInternalServerError, err)
		return
	}
	if out != nil {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(out)
	a.after(next)
}

// statusOf is what Slack is answered to an interaction that wasn't taken: the person who clicked sees that it failed.
func statusOf(err error) int {
	f, ok := errors.AsType[*forgedError](err)
	switch {
	case !ok:
		return http.StatusServiceUnavailable
	case f.team:
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}
