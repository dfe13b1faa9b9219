package serving_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/serving"
)

// wire is a gateway on real listeners, with a log that tests read.
type wire struct {
	*world
	address string
	log     *lines
}

func onWire(t *testing.T, change func(*serving.Config)) *wire {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	cfg := serving.DefaultConfig()
	cfg.ID, cfg.StateDir = "gw-1", w.dir
	change(&cfg)
	log := &lines{}
	server, err := serving.New(cfg, serving.Ports{Store: w.store, Log: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	w.server = server
	front, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	back, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, front, back) }()
	t.Cleanup(func() {
		cancel()
		<-done // requests that a test left open may outlive the drain
	})
	require.Eventually(t, func() bool { return w.predict(goodRow).status == http.StatusOK }, 10*time.Second, 5*time.Millisecond)
	return &wire{w, front.Addr().String(), log}
}

// dial opens a connection that never waits for ever.
func (w *wire) dial() net.Conn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.address)
	require.NoError(w.t, err)
	require.NoError(w.t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// send writes bytes as they are and reads what comes back; status 0: the connection was closed without an answer.
func (w *wire) send(raw string) (status int, body string) {
	w.t.Helper()
	conn := w.dial()
	_, _ = io.WriteString(conn, raw) // who is refused early may find it closed
	return w.read(conn)
}

func (w *wire) read(conn net.Conn) (status int, body string) {
	w.t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(resp.Body) // of a connection that is cut, what came
	return resp.StatusCode, string(raw)
}

const wireSecret = "do-not-log-4711"

func post(path, headers, body string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n" + headers + "\r\n" + body
}

func sized(path, body string) string {
	return post(path, fmt.Sprintf("Content-Length: %d\r\n", len(body)), body)
}

func TestMalformedHTTPIsRefusedAndHarmsNobody(t *testing.T) {
	w := onWire(t, func(*serving.Config) {})
	good := `{"features":` + goodRow + `}`
	for name, c := range map[string]struct {
		raw  string
		want []int // 0: closed without an answer
	}{
		"no HTTP":                         {wireSecret + "\r\n\r\n", []int{400}},
		"TLS to a plain port":             {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 32) + "\r\n\r\n", []int{400}},
		"an old protocol":                 {"POST /predict/flight-delay\r\n\r\n", []int{400}},
		"an unknown version":              {"GET /v2 HTTP/9.9\r\nHost: gw\r\n\r\n", []int{400, 505}},
		"no host":                         {"POST /predict/flight-delay HTTP/1.1\r\n\r\n", []int{400}},
		"two hosts":                       {post("/predict/flight-delay", "Host: other\r\nContent-Length: 2\r\n", "{}"), []int{400}},
		"a header without a colon":        {post("/predict/flight-delay", wireSecret+"\r\n", ""), []int{400}},
		"a header with a space in it":     {post("/predict/flight-delay", "Content Length: 2\r\n", "{}"), []int{400}},
		"a NUL in a header":               {post("/predict/flight-delay", "X: a\x00b\r\n", ""), []int{400}},
		"headers without end":             {post("/predict/flight-delay", "X: "+strings.Repeat("a", 64<<10)+"\r\n", ""), []int{431, 0}},
		"a length that is no number":      {post("/predict/flight-delay", "Content-Length: many\r\n", good), []int{400}},
		"a negative length":               {post("/predict/flight-delay", "Content-Length: -1\r\n", good), []int{400}},
		"two lengths":                     {post("/predict/flight-delay", "Content-Length: 2\r\nContent-Length: 20\r\n", good), []int{400}},
		"a length beyond counting":        {post("/predict/flight-delay", "Content-Length: 99999999999999999999\r\n", good), []int{400}},
		"a length beyond the limit":       {post("/predict/flight-delay", "Content-Length: 999999999999\r\n", good), []int{413}},
		"a chunk that is no number":       {post("/predict/flight-delay", "Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"), []int{400}},
		"a chunk beyond counting":         {post("/predict/flight-delay", "Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n{}"), []int{400}},
		"an encoding nobody knows":        {post("/predict/flight-delay", "Transfer-Encoding: rot13\r\n", good), []int{501, 400}},
		"chunks without end":              {post("/predict/flight-delay", "Transfer-Encoding: chunked\r\n", strings.Repeat("100000\r\n"+strings.Repeat(" ", 1<<20)+"\r\n", 5)), []int{413, 0}},
		"a path with a control character": {post("/predict/flight\x01delay", "", ""), []int{400}},
		"a path that isn't escaped":       {post("/predict/%zz", "", ""), []int{400}},
		"a path to somewhere else":        {sized("/predict/../../etc/passwd", good), []int{301, 307, 404}},
		"an escaped path to elsewhere":    {sized("/predict/..%2f..%2fetc%2fpasswd", good), []int{404}},
		"a model that is no text":         {sized("/predict/%ff%00", good), []int{404}},
		"a long path":                     {sized("/predict/"+strings.Repeat("a", 8<<10), good), []int{404}},
		"an unknown method":               {"BREW /predict/flight-delay HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n", []int{405}},
		"a proxy's request":               {"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n", []int{404, 400}},
		"a compressed body":               {post("/predict/flight-delay", "Content-Encoding: gzip\r\nContent-Length: 4\r\n", "\x1f\x8b\x08\x00"), []int{400}},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := w.send(c.raw)
			require.Contains(t, c.want, status, body)
			require.NotContains(t, body, wireSecret)
			require.Equal(t, http.StatusOK, w.predict(goodRow).status, "the next one is answered")
		})
	}
	status, _ := w.send(post("/predict/flight-delay", fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: %d\r\n", len(good)), "0\r\n\r\nGET /v2 HTTP/1.1\r\nHost: gw\r\n\r\n"))
	require.Equal(t, http.StatusBadRequest, status, "what two readers could take differently is no prediction")
	require.Zero(t, w.log.count(wireSecret))
	require.Zero(t, w.log.count("panic"))
}

// Each body is refused in the shape of both protocols, and none of it is logged.
func TestHostileBodiesAreRefusedInTheProtocolsShape(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	log := w.restartWith(nil, func(*serving.Config) {})
	w.sync()
	feature := func(value string) string {
		return `{"features": {"dep_delay": ` + value + `, "carrier": "` + wireSecret + `"}}`
	}
	tensor := func(value string) string {
		return `{"inputs": [{"name": "dep_delay", "shape": [1], "datatype": "FP64", "data": [` + value + `]},
			{"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["` + wireSecret + `"]}]}`
	}
	bodies := map[string]string{ // of either protocol
		"null": `null`, "a number": `1`, "a text": `"x"`, "nothing": ``, "white space": "  \n ", "cut off": `{"features": {"dep`,
		"a byte order mark": "\ufeff{}", "two documents": `{}{}`, "XML": `<features/>`, "a form": `dep_delay=20&carrier=UA`,
		"arrays without end": strings.Repeat("[", 100_000), "objects without end": strings.Repeat(`{"a":`, 100_000),
		"zeros": strings.Repeat("\x00", 1000), "invalid UTF-8": "{\"\xc3\x28\": 1}", "overlong UTF-8": "{\"\xc0\xaf\": 1}",
		"UTF-16": "{\x00\"\x00a\x00\"\x00:\x001\x00}\x00", "a long name": `{"` + strings.Repeat("x", 1<<20) + `": 1}`,
		"many names": `{"features": {` + strings.TrimSuffix(strings.Repeat(`"nobody": 1,`, 50_000), ",") + `}}`,
	}
	for name, value := range map[string]string{
		"NaN": "NaN", "Infinity": "Infinity", "minus Infinity": "-Infinity", "nan": "nan", "inf": "inf", "out of range": "1e999", "hexadecimal": "0x10",
		"octal": "010", "a plus": "+1", "no digit before the point": ".5", "none after it": "1.", "an empty exponent": "1e", "two points": "1.2.3",
		"an underscore": "1_000", "a comma": "1,5", "a comment": "1 /* one */", "single quotes": "'1'", "a lone surrogate's half": `"\ud800"`, "undefined": "undefined",
		"a trailing comma": "1,", "an object": `{"value": 1}`, "a list": "[[1]]", "a million digits and no number": strings.Repeat("9", 1_000_000) + "x",
		"a number of a million digits": strings.Repeat("9", 1_000_000),
	} {
		bodies["predict "+name], bodies["infer "+name] = feature(value), tensor(value)
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			if name != "infer a list" { // nested data is one form of a tensor
				a := w.request(http.MethodPost, "/predict/flight-delay", body)
				require.Equal(t, http.StatusBadRequest, a.status, a.raw)
				require.NotEmpty(t, a.body["error"])
				require.NotEmpty(t, a.body["code"])
				require.Less(t, len(a.raw), 4096, "what is repeated of it is bounded")
				a = w.infer(body)
				require.Equal(t, http.StatusBadRequest, a.status, a.raw)
				require.Len(t, a.body, 1, "only {\"error\"}: %s", a.raw)
				require.Less(t, len(a.raw), 4096)
			}
		})
	}
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	require.Zero(t, log.count(wireSecret), "features are nobody's log line")
	w.sync()
	require.Zero(t, w.sums("errors")["champion/1"], "the clients' mistakes are not the champion's")
}

func TestHugeBatchesAreRefusedBeforeTheyAreScored(t *testing.T) {
	w := champion(t, flights(0), func(c *serving.Config) { c.MaxBatch = 100 })
	rows := func(n int) string {
		return `{"instances": [` + strings.TrimSuffix(strings.Repeat(goodRow+",", n), ",") + `]}`
	}
	require.Equal(t, http.StatusOK, w.request(http.MethodPost, "/predict/flight-delay", rows(100)).status)
	a := w.request(http.MethodPost, "/predict/flight-delay", rows(101))
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status, a.raw)
	require.Equal(t, "close", a.header.Get("Connection"))
	numbers := strings.TrimSuffix(strings.Repeat("1,", 101), ",")
	texts := strings.TrimSuffix(strings.Repeat(`"UA",`, 101), ",")
	a = w.infer(`{"inputs": [{"name": "dep_delay", "shape": [101], "datatype": "FP64", "data": [` + numbers + `]},
		{"name": "carrier", "shape": [101], "datatype": "BYTES", "data": [` + texts + `]}]}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status, a.raw)
	a = w.infer(`{"inputs": [{"name": "dep_delay", "shape": [9223372036854775807], "datatype": "FP64", "data": [1]},
		{"name": "carrier", "shape": [9223372036854775807], "datatype": "BYTES", "data": ["UA"]}]}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status, a.raw)
}

// Slow clients are cut off, and meanwhile everybody else is answered.
func TestSlowClientsAreCutOffAndKeepNobodyWaiting(t *testing.T) {
	w := onWire(t, func(c *serving.Config) {
		c.ReadHeader, c.ReadRequest, c.WriteAnswer = 300*time.Millisecond, 600*time.Millisecond, time.Second
		c.MaxInFlight, c.DrainTimeout = 2, 200*time.Millisecond
	})
	good := `{"features":` + goodRow + `}`
	headers := []net.Conn{w.dial(), w.dial(), w.dial(), w.dial()}
	bodies := []net.Conn{w.dial(), w.dial(), w.dial(), w.dial()}
	for i := range headers {
		_, err := io.WriteString(headers[i], "POST /predict/flight-delay HTTP/1.1\r\nHost: g")
		require.NoError(t, err)
		_, err = io.WriteString(bodies[i], strings.Replace(sized("/predict/flight-delay", good), good, good[:9], 1))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return !strings.Contains(w.admin("/metrics").raw, "leanloop_request_bytes_held 0") }, 5*time.Second, time.Millisecond)
	status, body := w.send(sized("/predict/flight-delay", good))
	require.Equal(t, http.StatusOK, status, body)
	for i := range headers {
		status, body := w.read(bodies[i])
		require.Equal(t, http.StatusRequestTimeout, status)
		var said map[string]any
		require.NoError(t, json.Unmarshal([]byte(body), &said), body)
		require.Equal(t, "too_slow", said["code"])
		status, _ = w.read(headers[i])
		require.Contains(t, []int{0, http.StatusRequestTimeout}, status)
	}
	require.Eventually(t, func() bool { return strings.Contains(w.admin("/metrics").raw, "leanloop_request_bytes_held 0") }, 5*time.Second, 5*time.Millisecond)

	left := w.dial() // a client that leaves in the middle
	_, err := io.WriteString(left, strings.Replace(sized("/predict/flight-delay", good), good, good[:9], 1))
	require.NoError(t, err)
	require.NoError(t, left.Close())
	require.Eventually(t, func() bool { return strings.Contains(w.admin("/metrics").raw, "leanloop_request_bytes_held 0") }, 5*time.Second, 5*time.Millisecond)
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
}
