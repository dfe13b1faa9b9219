package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// signatureWindow is how far a request's time may be from ours, as Slack's documentation has it.
const signatureWindow = 5 * time.Minute

var errSignature = errors.New("slack signature refused")

// verify holds a request to the signing secret: an HMAC-SHA256 over version, time stamp and the body as it came. It
// compares in constant time. That the same request isn't sent again within the window is for the run to see.
func verify(secret string, h http.Header, body []byte, now time.Time) error {
	stamps, signatures := h.Values("X-Slack-Request-Timestamp"), h.Values("X-Slack-Signature")
	if len(stamps) != 1 || len(signatures) != 1 {
		return fmt.Errorf("%w: %d time stamps and %d signatures, want one of each", errSignature, len(stamps), len(signatures))
	}
	seconds, err := strconv.ParseInt(stamps[0], 10, 64)
	if err != nil {
		return fmt.Errorf("%w: the time stamp isn't a number", errSignature)
	}
	if away := now.Sub(time.Unix(seconds, 0)); away > signatureWindow || away < -signatureWindow {
		return fmt.Errorf("%w: %s away from now, at most %s", errSignature, away.Round(time.Second), signatureWindow)
	}
	given, ok := strings.CutPrefix(signatures[0], "v0=")
	sum, err := hex.DecodeString(given)
	if !ok || err != nil {
		return fmt.Errorf("%w: not of the form v0=HEX", errSignature)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamps[0] + ":"))
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), sum) {
		return fmt.Errorf("%w: it isn't of this body", errSignature)
	}
	return nil
}
