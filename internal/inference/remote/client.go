package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/leanloop/leanloop/internal/inference"
)

// Config says which servers may be asked, and how long.
type Config struct {
	// Hosts are the servers that may be asked: host, or host:port for that port alone. None: no version of format remote
	// is scored here.
	Hosts []string
	// Timeout bounds one request, besides the caller's context; 0: 10 s.
	Timeout time.Duration
}

const (
	defaultTimeout = 10 * time.Second
	maxMetadata    = 1 << 20 // bytes of an answer that isn't scores
	maxHeader      = 64 << 10
	idleEach       = 64 // kept-alive connections to one server
	maxShown       = 300
)

// Runtime asks servers. It is safe for concurrent use, and keeps connections alive between requests.
type Runtime struct {
	hosts     map[string]bool
	timeout   time.Duration
	transport *http.Transport
	client    *http.Client
}

// New makes a runtime; it connects to nothing.
func New(c Config) (*Runtime, error) {
	r := &Runtime{hosts: map[string]bool{}, timeout: c.Timeout}
	if r.timeout <= 0 {
		r.timeout = defaultTimeout
	}
	for _, h := range c.Hosts {
		u, err := url.Parse("http://" + h)
		if err != nil || h == "" || u.Host != h || u.Hostname() == "" || strings.ContainsAny(h, "/*?# ") {
			return nil, fmt.Errorf("remote host %q: want host or host:port", h)
		}
		r.hosts[strings.ToLower(h)] = true
	}
	r.transport = &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConnsPerHost:    idleEach,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // what is packed has no size that can be bounded
		ForceAttemptHTTP2:      true,
	}
	r.client = &http.Client{
		Transport:     r.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r, nil
}

// Close closes idle connections.
func (r *Runtime) Close() { r.transport.CloseIdleConnections() }

// NotAllowed says that a version names a server that nobody allowed here.
type NotAllowed struct {
	Host    string
	Allowed []string
}

func (e *NotAllowed) Error() string {
	allowed := "none are"
	if len(e.Allowed) > 0 {
		allowed = "allowed are " + strings.Join(e.Allowed, ", ")
	}
	return fmt.Sprintf("server %s isn't allowed to score here: %s (start this program with --remote-hosts %s, or LEANLOOP_REMOTE_HOSTS)", e.Host, allowed, e.Host)
}

// allow holds a server to the allowed ones.
func (r *Runtime) allow(server string) error {
	u, err := url.Parse(server)
	if err != nil {
		return err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	host := strings.ToLower(u.Hostname())
	bare := host
	if strings.Contains(host, ":") { // an address of IPv6, as it is written in a list of hosts
		bare = "[" + host + "]"
	}
	if r.hosts[bare] || r.hosts[net.JoinHostPort(host, port)] {
		return nil
	}
	e := &NotAllowed{Host: net.JoinHostPort(host, port)}
	for h := range r.hosts {
		e.Allowed = append(e.Allowed, h)
	}
	return e
}

// ServerError is a server's refusal.
type ServerError struct {
	URL     string
	Status  int
	Message string // what it said, shortened
}

func (e *ServerError) Error() string {
	text := fmt.Sprintf("%s answers %d %s", e.URL, e.Status, http.StatusText(e.Status))
	switch {
	case e.Status/100 == 3:
		text += ": redirects aren't followed"
	case e.Message != "":
		text += ": " + e.Message
	}
	return text
}

// AnswerError says that a server answered something that no model of the signature gives.
type AnswerError struct {
	URL string
	Err error
}

func (e *AnswerError) Error() string { return e.URL + " answers wrongly: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *AnswerError) Unwrap() error { return e.Err }

// answer is what came back: JSON, and the tensors behind it.
type answer struct{ header, tail []byte }

// ask sends a request and reads the answer, of limit bytes at most. A server that can't be reached, is overloaded or
// broken, is an *inference.PassingError; when ctx ended it is ctx's error.
func (r *Runtime) ask(ctx context.Context, method, address string, body []byte, jsonBytes int, limit int64) (answer, error) {
	bounded, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(bounded, method, address, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header["Idempotency-Key"] = nil // isn't sent; a kept-alive connection that has just been closed is tried anew
	}
	if jsonBytes > 0 && jsonBytes < len(body) {
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set(headerLength, strconv.Itoa(jsonBytes))
	}
	res, err := r.client.Do(req)
	if err != nil {
		return answer{}, r.unreached(ctx, address, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return answer{}, r.unreached(ctx, address, err)
	case res.StatusCode != http.StatusOK:
		return answer{}, refusal(address, res.StatusCode, raw)
	case res.Header.Get("Content-Encoding") != "" && res.Header.Get("Content-Encoding") != "identity":
		return answer{}, &AnswerError{address, fmt.Errorf("content-encoding: observed %.40q, none was asked for", res.Header.Get("Content-Encoding"))}
	case int64(len(raw)) > limit:
		return answer{}, &AnswerError{address, fmt.Errorf("size: observed more than %d bytes", limit)}
	}
	cut, err := cutHeader(res.Header.Get(headerLength), raw)
	if err != nil {
		return answer{}, &AnswerError{address, err}
	}
	return cut, nil
}

// unreached types the error of a request that got no whole answer.
func (r *Runtime) unreached(ctx context.Context, address string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s", r.timeout)
	} else if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // which has the method and the address once more
	}
	return &inference.PassingError{Err: fmt.Errorf("%s: %w", address, err)}
}

// refusal is an answer with another status than 200.
func refusal(address string, status int, raw []byte) error {
	var said struct {
		Error any `json:"error"`
	}
	e := &ServerError{URL: address, Status: status}
	if json.Unmarshal(raw, &said) == nil && said.Error != nil {
		e.Message = shown(fmt.Sprint(said.Error))
	}
	if status >= 500 || status == http.StatusTooManyRequests {
		return &inference.PassingError{Err: e}
	}
	return e
}

// shown makes a text of a stranger fit for a log line.
func shown(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "..."
	}
	return text
}
