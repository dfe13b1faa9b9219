package serving_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/onnx"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/spec"
)

// sessions is a runtime for ONNX that only pretends, and sees who asks a model that was closed.
type sessions struct {
	mu     sync.Mutex
	opened []*session
	late   atomic.Int64
	wait   func(of int) // called by each question to the n-th model, from 1; nil: nobody waits
	fail   error        // of every model that is opened; nil: none
}

type session struct {
	of     *sessions
	number int
	closed atomic.Int64
}

func (r *sessions) Open(context.Context, onnx.Call, []byte) (onnx.Session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return nil, r.fail
	}
	s := &session{of: r, number: len(r.opened) + 1}
	r.opened = append(r.opened, s)
	return s, nil
}

// Score answers each row with a hundredth of the model's number.
func (s *session) Score(_ context.Context, rows int, frame []byte) (onnx.Answer, error) {
	if s.of.wait != nil && !math.IsNaN(float64(math.Float32frombits(binary.LittleEndian.Uint32(frame[onnx.RowsHeader:])))) { // warm-up asks for what is missing
		s.of.wait(s.number)
	}
	if s.closed.Load() > 0 {
		s.of.late.Add(1)
		return onnx.Answer{}, errors.New("closed")
	}
	a := onnx.Answer{Columns: 1}
	for range rows {
		a.Values = append(a.Values, float64(s.number)/100)
	}
	return a, nil
}

func (s *session) Close() error {
	s.closed.Add(1)
	return nil
}

// closed says how often the n-th model was closed.
func (r *sessions) closed(n int) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opened[n-1].closed.Load()
}

// withSessions is a gateway whose ONNX models pretend.
func withSessions(t testing.TB, r *sessions, change ...func(*serving.Config)) *world {
	w := newWorld(t, change...)
	w.loader = &inference.Loader{ONNX: r}
	w.start(change...)
	return w
}

// registerONNX stores a version of an ONNX model; the threshold makes one artifact another.
func (w *world) registerONNX(threshold float64) int {
	w.t.Helper()
	s := inference.Signature{Version: inference.SignatureVersion, Format: inference.FormatONNX, Task: spec.Binary, Classes: []string{"on time", "late"},
		Output: "late_15", Threshold: threshold, Inputs: []inference.Feature{{Name: "dep_delay", Kind: inference.KindNumber}, {Name: "carrier", Kind: inference.KindCategory, Categories: []string{"UA"}}}}
	encoded, err := s.Marshal()
	require.NoError(w.t, err)
	model, err := os.ReadFile(filepath.Join("..", "inference", "testdata", "onnx", "sigmoid.onnx"))
	require.NoError(w.t, err)
	return w.registerFilesOf(map[string][]byte{inference.SignatureFile: encoded, inference.ONNXFile: model})
}

func TestAnOldVersionIsClosedWhenItsLastRequestHasItsAnswer(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	r := &sessions{wait: func(of int) {
		if of == 1 {
			asked <- struct{}{}
			<-answer
		}
	}}
	w := withSessions(t, r)
	w.promote(w.registerONNX(0.5))
	w.sync()
	answered := make(chan map[string]any, 1)
	go func() { answered <- w.predict(goodRow).body }()
	<-asked
	v := w.registerONNX(0.6)
	w.canary(v, 0, time.Hour)
	w.promote(v)
	w.sync()
	require.EqualValues(t, 2, w.predict(goodRow).body["version"])
	require.Zero(t, r.closed(1), "a request still waits for it")
	close(answer)
	require.EqualValues(t, 1, (<-answered)["version"])
	require.Eventually(t, func() bool { return r.closed(1) == 1 }, 5*time.Second, time.Millisecond)
	require.Zero(t, r.closed(2))
	require.Zero(t, r.late.Load())
}

func TestAChallengerThatNobodyWaitsForIsClosedWhenItComesBack(t *testing.T) {
	answer := make(chan struct{})
	r := &sessions{wait: func(of int) {
		if of == 2 {
			<-answer
		}
	}}
	w := withSessions(t, r)
	w.promote(w.registerONNX(0.5))
	w.canary(w.registerONNX(0.6), 1, time.Hour)
	w.sync()
	require.Equal(t, "champion", w.predict(goodRow).body["arm"], "the challenger took too long")
	w.rollback()
	w.sync()
	require.Zero(t, r.closed(2), "it is still at work")
	close(answer)
	require.Eventually(t, func() bool { return r.closed(2) == 1 }, 5*time.Second, time.Millisecond)
	require.Zero(t, r.late.Load())
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
}

// No request meets a closed version, and all but the last are closed once.
func TestSwapsUnderLoadCloseEveryOldVersionAndFailNoRequest(t *testing.T) {
	r := &sessions{}
	w := withSessions(t, r)
	w.promote(w.registerONNX(0.5))
	w.sync()
	handler := w.server.Handler()
	var stop atomic.Bool
	var served atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				if a := ask(t, handler, http.MethodPost, "/predict/"+modelName, `{"features":`+goodRow+`}`); a.status != http.StatusOK {
					t.Errorf("status %d: %s", a.status, a.raw)
					return
				}
				served.Add(1)
			}
		})
	}
	const versions = 12
	for n := 2; n <= versions; n++ {
		at := served.Load()
		v := w.registerONNX(0.5 + float64(n)/100)
		w.canary(v, 0.5, time.Hour)
		w.sync()
		w.promote(v)
		w.sync()
		require.Eventually(t, func() bool { return served.Load() >= at+20 || t.Failed() }, 10*time.Second, time.Millisecond)
	}
	stop.Store(true)
	clients.Wait()
	for n := 1; n < versions; n++ {
		require.Eventually(t, func() bool { return r.closed(n) == 1 }, 5*time.Second, time.Millisecond, "version %d", n)
	}
	require.Zero(t, r.closed(versions), "the last one serves")
	require.Zero(t, r.late.Load())
}

func TestAVersionThatCantBeStartedLeavesTheChampion(t *testing.T) {
	r := &sessions{}
	w := withSessions(t, r)
	w.promote(w.registerONNX(0.5))
	w.sync()
	r.fail = &onnx.Unavailable{What: "the library ONNX Runtime"}
	w.canary(w.registerONNX(0.6), 1, time.Hour)
	require.ErrorContains(t, w.server.Sync(t.Context()), "the library ONNX Runtime was not found")
	a := w.predict(goodRow)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, "champion", a.body["arm"])
	require.Zero(t, r.closed(1))
}
