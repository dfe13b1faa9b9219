package serving

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// minToken is the shortest admin token in bytes: what is shorter can be guessed.
const minToken = 16

// Token is what an operator knows who may change something on the admin listener. It keeps digests alone, so that no log
// or dump of a configuration can tell it.
type Token struct {
	digest [sha256.Size]byte
	key    [sha256.Size]byte // what orders are signed with
}

// NewToken takes a token's text, without the white space around it.
func NewToken(text string) (*Token, error) {
	text = strings.TrimSpace(text)
	if len(text) < minToken {
		return nil, fmt.Errorf("admin token: %d bytes, want at least %d", len(text), minToken)
	}
	return &Token{digest: sha256.Sum256([]byte(text)), key: sha256.Sum256([]byte("leanloop admin orders\x00" + text))}, nil
}

// String and GoString print nothing of it.
func (Token) String() string { return "admin token" }

// GoString implements fmt.GoStringer.
func (Token) GoString() string { return "admin token" }

// is compares in a time that tells nothing.
func (t *Token) is(text string) bool {
	given := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(given[:], t.digest[:]) == 1
}

// authorize says why a request with this body may change nothing; nil if it may: it shows the token, or is signed with it.
func (s *Server) authorize(req *http.Request, body []byte) *problem {
	if s.cfg.AdminToken == nil {
		return &problem{Status: http.StatusForbidden, Code: "no_token",
			Message: "this gateway has no admin token, so nobody may: set LEANLOOP_ADMIN_TOKEN or LEANLOOP_ADMIN_TOKEN_FILE and start it again"}
	}
	scheme, text, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if scheme == signedScheme {
		if wrong := s.cfg.AdminToken.signed(req, text, body, s.ports.Clock()); wrong != "" {
			return &problem{Status: http.StatusUnauthorized, Code: "wrong_token", Message: wrong}
		}
		return nil
	}
	if !strings.EqualFold(scheme, "Bearer") || !s.cfg.AdminToken.is(text) {
		return &problem{Status: http.StatusUnauthorized, Code: "wrong_token", Message: "want the header Authorization: Bearer and this gateway's admin token"}
	}
	return nil
}

// TokenText is the text of an admin token that is given itself or in a file, without the white space around it; "" if
// neither is given.
func TokenText(text, file string) (string, error) {
	switch {
	case file == "":
		return strings.TrimSpace(text), nil
	case text != "":
		return "", errors.New("an admin token is given, and a file with one: want one of them")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("admin token: %w", err)
	}
	if text = strings.TrimSpace(string(data)); text == "" {
		return "", fmt.Errorf("admin token: %s is empty", file)
	}
	return text, nil
}
