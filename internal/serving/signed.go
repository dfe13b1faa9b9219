package serving

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A signed order proves that who sends it knows the admin token, and doesn't show it: whoever listens at an address that a
// heartbeat names gets an order that anybody may carry out for as long as signedFor, and nothing to make another one
// with. Authorization is "Leanloop-Hmac <unix seconds>:<mac>", the answer to it has the mac of its own in answerMAC.
const (
	signedScheme = "Leanloop-Hmac"
	answerMAC    = "Leanloop-Mac"
	// signedFor is how far the clocks of who signs and who checks may be apart, the way included.
	signedFor = 2 * time.Minute
)

// Sign makes a request a signed order. body is what it sends.
func (t *Token) Sign(req *http.Request, body []byte, now time.Time) {
	at := strconv.FormatInt(now.Unix(), 10)
	req.Header.Set("Authorization", signedScheme+" "+at+":"+t.order(req, at, body))
}

// order is the mac of an order: of what is asked, when, and with which words. The host isn't part of it, since proxies
// change it, and an order is for every gateway.
func (t *Token) order(req *http.Request, at string, body []byte) string {
	return t.mac("order", req.Method, req.URL.EscapedPath(), at, string(body))
}

func (t *Token) mac(parts ...string) string {
	h := hmac.New(sha256.New, t.key[:])
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// signed says what is wrong with a signed order, "" for nothing.
func (t *Token) signed(req *http.Request, credentials string, body []byte, now time.Time) string {
	at, mac, _ := strings.Cut(credentials, ":")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || !hmac.Equal([]byte(mac), []byte(t.order(req, at, body))) {
		return "the order isn't signed with this gateway's admin token"
	}
	if off := now.Sub(time.Unix(seconds, 0)); off > signedFor || off < -signedFor {
		return fmt.Sprintf("the order was signed at %s and it is %s here, want at most %s between: set the clocks",
			time.Unix(seconds, 0).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), signedFor)
	}
	return ""
}

// signAnswer lets who signed an order know that it was somebody with the token who answered it.
func (t *Token) signAnswer(w http.ResponseWriter, req *http.Request, body []byte) {
	if scheme, credentials, _ := strings.Cut(req.Header.Get("Authorization"), " "); scheme == signedScheme {
		w.Header().Set(answerMAC, t.mac("answer", credentials, string(body)))
	}
}

// Answered says whether an answer's body comes from somebody who knows the token and got this order.
func (t *Token) Answered(req *http.Request, resp *http.Response, body []byte) bool {
	_, credentials, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	return hmac.Equal([]byte(resp.Header.Get(answerMAC)), []byte(t.mac("answer", credentials, string(body))))
}
