package serving_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
)

const adminToken = "correct-horse-battery-staple"

func withToken(c *serving.Config) {
	token, err := serving.NewToken(adminToken + "\n")
	if err != nil {
		panic(err)
	}
	c.AdminToken, c.AdminAddress, c.BreakGlass = token, "http://"+c.ID+":9090", 10*time.Second
	c.ReadTimeout = 10 * time.Second
}

// breakGlass orders a rollback by the world's gateway.
func (w *world) breakGlass(body string) answer {
	w.t.Helper()
	return breakGlass(w.t, w.server, adminToken, body)
}

func breakGlass(t testing.TB, s *serving.Server, token, body string) answer {
	t.Helper()
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, "/admin/rollback/"+modelName, strings.NewReader(body))
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	s.AdminHandler().ServeHTTP(rec, req)
	a := answer{status: rec.Code, header: rec.Header(), raw: rec.Body.String()}
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &a.body), a.raw)
	return a
}

const order = `{"actor": "cli:ana", "reason": "errors all over"}`

func (w *world) head() registry.Entry {
	w.t.Helper()
	head, err := registry.NewLedger(w.store, modelName).Head(context.Background())
	require.NoError(w.t, err)
	return head
}

func (w *world) served() float64 {
	w.t.Helper()
	return w.predict(goodRow).body["version"].(float64)
}

// beat is what the gateway says it serves.
func (w *world) beat() registry.Serve {
	w.t.Helper()
	beats, err := registry.Heartbeats(context.Background(), w.store)
	require.NoError(w.t, err)
	require.Len(w.t, beats, 1)
	return beats[0].Models[modelName]
}

func (w *world) confirmed(seq int64) bool {
	w.t.Helper()
	beats, err := registry.Heartbeats(context.Background(), w.store)
	require.NoError(w.t, err)
	ok, _ := registry.Confirmed(beats, modelName, seq, w.clock.Now())
	return ok
}

func (w *world) refusals() []registry.RefusedDecision {
	w.t.Helper()
	var all []registry.RefusedDecision
	require.NoError(w.t, registry.RefusedDecisions(context.Background(), w.store, modelName, func(r registry.RefusedDecision) error {
		all = append(all, r)
		return nil
	}))
	return all
}

func TestWithoutATokenNobodyRollsBackAndTheAnswerSaysHowToSetOne(t *testing.T) {
	w := withCanary(t, 1)
	a := breakGlass(t, w.server, adminToken, order)
	require.Equal(t, http.StatusForbidden, a.status)
	require.Contains(t, a.body["error"], "LEANLOOP_ADMIN_TOKEN")
	require.EqualValues(t, 2, w.served())
}

func TestAWrongTokenRollsNothingBack(t *testing.T) {
	w := withCanary(t, 1, withToken)
	for _, token := range []string{"", "wrong", adminToken + "x", adminToken[1:], "Bearer " + adminToken} {
		a := breakGlass(t, w.server, token, order)
		require.Equal(t, http.StatusUnauthorized, a.status, token)
		require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))
	}
	require.Contains(t, w.admin("/healthz").raw, "without the admin token")
	require.NotContains(t, w.admin("/healthz").raw, "wrong", "what was tried may be nearly right")
	require.EqualValues(t, 2, w.served())
}

func TestTheTokenIsInNoPrintOfTheConfiguration(t *testing.T) {
	c := serving.DefaultConfig()
	withToken(&c)
	printed := fmt.Sprintf("%v %+v %#v %s", c, *c.AdminToken, c.AdminToken, c.AdminToken)
	require.NotContains(t, printed, adminToken)
	_, err := serving.NewToken(" short ")
	require.ErrorContains(t, err, "5 bytes, want at least 16")
	require.NotContains(t, err.Error(), "short")
}

func TestBadOrdersAreRefusedByName(t *testing.T) {
	w := withCanary(t, 1, withToken)
	for body, says := range map[string]string{
		`{`:                               "want {",
		`{"actor": "a"}`:                  "reason of 0 bytes",
		`{"reason": "r"}`:                 "actor of 0 bytes",
		`{"actor": "a\nb", "reason":"r"}`: "on one line",
		`{"actor": "a", "reason": "r", "to": -1}`:                                     "to: -1",
		`{"actor": "a", "reason": "r", "version": 1}`:                                 `unknown field`,
		`{"actor": "a", "reason": "` + strings.Repeat("x", 20<<10) + `"}`:             "too large",
		`{"actor": "` + strings.Repeat("x", 300) + `", "reason": "because it is so"}`: "actor of 300 bytes",
	} {
		a := w.breakGlass(body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Contains(t, a.body["error"], says)
	}
	require.EqualValues(t, 2, w.served())
}

func TestBreakGlassAppendsToTheLedgerAndIsServedAtOnce(t *testing.T) {
	w := withCanary(t, 1, withToken)
	before := w.head()
	a := w.breakGlass(order)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, "appended", a.body["outcome"])
	require.EqualValues(t, before.Seq+1, a.body["seq"])
	require.EqualValues(t, 2, a.body["challenger"])
	require.EqualValues(t, 1, w.served(), "before the entry was followed")
	e := w.head()
	require.Equal(t, registry.KindRolledBack, e.Command.Kind)
	require.Equal(t, "cli:ana", e.Actor)
	require.Equal(t, "gateway", e.Via)
	require.Equal(t, "errors all over", e.Command.Reason)
	require.Equal(t, fmt.Sprintf("rollback/%d/2/0", before.State.Epoch), e.Key, "as the CLI's")
	require.Equal(t, before.State.Epoch+1, e.State.Epoch)
	w.sync()
	require.True(t, w.confirmed(e.Seq))
	require.False(t, w.beat().Override)
	require.Contains(t, w.admin("/metrics").raw, `leanloop_break_glass_total{model="flight-delay",outcome="appended"} 1`)

	_, err := w.ledger.Do(context.Background(), registry.Command{Key: "canary/next", Kind: registry.KindCanaryWeight, Actor: "lifecycle",
		Time: w.clock.Now(), Guard: registry.GuardOf(before.State),
		Canary: &registry.CanaryWeight{Version: 2, Weight: 1, LeaseUntil: w.clock.Now().Add(time.Hour), Run: "run-1"}})
	var conflict *registry.Conflict
	require.ErrorAs(t, err, &conflict, "the canary ends by epoch")
}

func TestTwiceAndByEachGatewayAtOnceIsOneRollback(t *testing.T) {
	w := withCanary(t, 1, withToken)
	before := w.head()
	first := w.server
	w.dir = t.TempDir()
	w.start(withToken, func(c *serving.Config) { c.ID = "gw-2" })
	w.sync()
	var orders sync.WaitGroup
	outcomes := make(chan string, 8)
	for i := range 8 {
		s := []*serving.Server{first, w.server}[i%2]
		orders.Go(func() {
			a := breakGlass(t, s, adminToken, order)
			outcomes <- fmt.Sprint(a.status, a.body["outcome"])
		})
	}
	orders.Wait()
	close(outcomes)
	for o := range outcomes {
		require.Contains(t, []string{"200appended", "200already"}, o)
	}
	require.Equal(t, before.Seq+1, w.head().Seq)
	require.EqualValues(t, 1, w.head().State.Champion, "the second one doesn't take the champion away")
}

func TestBreakGlassReturnsToAFormerChampion(t *testing.T) {
	w := withCanary(t, 1, withToken)
	w.promote(2)
	w.sync()
	require.EqualValues(t, 2, w.served())
	for range 2 {
		a := w.breakGlass(`{"actor": "cli:ana", "reason": "r", "to": 1}`)
		require.Equal(t, http.StatusOK, a.status, a.raw)
		require.EqualValues(t, 1, a.body["champion"])
	}
	w.sync()
	require.EqualValues(t, 1, w.served())
	require.EqualValues(t, 1, w.head().State.Champion)

	a := w.breakGlass(`{"actor": "cli:ana", "reason": "r", "to": 7}`)
	require.Equal(t, http.StatusConflict, a.status)
	require.Contains(t, a.body["error"], "version 7 was never the champion")
	require.Len(t, w.refusals(), 1)
	require.Equal(t, 7, w.refusals()[0].Version)
}

func TestWithoutTheStoreTheGatewayRollsBackAloneAndTheLedgerGetsItLater(t *testing.T) {
	w := withCanary(t, 1, withToken)
	before := w.head()
	w.fail(everything)
	a := w.breakGlass(order)
	require.Equal(t, http.StatusAccepted, a.status, a.raw)
	require.Equal(t, "stored", a.body["outcome"])
	require.Equal(t, true, a.body["durable"])
	require.NotEmpty(t, a.body["ledger_error"])
	require.EqualValues(t, 1, w.served())
	require.Equal(t, http.StatusAccepted, w.breakGlass(order).status, "the same again")

	status := w.admin("/routes").body["models"].([]any)[0].(map[string]any)
	require.Equal(t, map[string]any{"actor": "cli:ana", "reason": "errors all over", "since": "2026-03-01T12:00:00Z",
		"base_seq": float64(before.Seq), "appended": false}, status["override"])
	require.Equal(t, "degraded", w.admin("/healthz").body["status"])
	require.Contains(t, w.admin("/healthz").raw, "rolled back on this gateway by cli:ana")
	require.Contains(t, w.admin("/metrics").raw, `leanloop_override{model="flight-delay"} 1`)
	require.Error(t, w.server.Sync(context.Background()))
	require.EqualValues(t, 1, w.served())

	for range 2 { // restarted while the store is away
		w.start(withToken)
		require.Error(t, w.server.Sync(context.Background()))
		require.EqualValues(t, 1, w.served())
		require.Contains(t, w.admin("/healthz").raw, "rolled back on this gateway by cli:ana")
	}
	require.Equal(t, before.Seq, w.head().Seq)

	w.fail(nil)
	w.clock.advance(time.Second)
	w.sync()
	e := w.head()
	require.Equal(t, before.Seq+1, e.Seq)
	require.Equal(t, "cli:ana", e.Actor)
	require.True(t, e.Time.Equal(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), "when it was ordered")
	require.EqualValues(t, 1, w.served())
	require.True(t, w.confirmed(e.Seq))
	require.Nil(t, w.admin("/routes").body["models"].([]any)[0].(map[string]any)["override"])
	require.Equal(t, "ok", w.admin("/healthz").body["status"])
	require.NoFileExists(t, w.overrideFile())
	w.sync()
	require.Equal(t, e.Seq, w.head().Seq, "once")
	require.Empty(t, w.refusals())
}

func (w *world) overrideFile() string { return filepath.Join(w.dir, "overrides", modelName+".json") }

func TestFormerChampionOnDiskReturnsWithoutTheStore(t *testing.T) {
	w := withCanary(t, 1, withToken)
	w.promote(2)
	w.sync()
	w.fail(everything)
	a := w.breakGlass(`{"actor": "cli:ana", "reason": "r", "to": 1}`)
	require.Equal(t, http.StatusAccepted, a.status, a.raw)
	require.EqualValues(t, 1, w.served())
	w.start(withToken)
	require.Error(t, w.server.Sync(context.Background()))
	require.EqualValues(t, 1, w.served(), "after a restart")
	w.fail(nil)
	w.sync()
	require.EqualValues(t, 1, w.served())
	require.Equal(t, 1, w.head().State.Champion)
	require.True(t, w.confirmed(w.head().Seq))
}

func TestFormerChampionThatIsNotOnDiskNeedsTheStore(t *testing.T) {
	w := withCanary(t, 1, withToken)
	w.promote(2)
	w.dir = t.TempDir()
	w.start(withToken)
	w.sync()
	w.fail(everything)
	a := w.breakGlass(`{"actor": "cli:ana", "reason": "r", "to": 1}`)
	require.Equal(t, http.StatusServiceUnavailable, a.status, a.raw)
	require.Contains(t, a.body["error"], "not on disk")
	require.EqualValues(t, 2, w.served())
	require.NoFileExists(t, w.overrideFile())
}

// The gateway is cut off; elsewhere the challenger is promoted; then the gateway is back with a rollback of it.
func TestRollbackOvertakenByADecisionIsDroppedWithANote(t *testing.T) {
	w := withCanary(t, 1, withToken)
	w.fail(everything)
	require.Equal(t, http.StatusAccepted, w.breakGlass(order).status)
	w.promote(2)
	head := w.head()
	w.fail(func(_, key string) bool { return strings.HasPrefix(key, "audit/") })
	w.sync()
	require.EqualValues(t, 2, w.served(), "what was decided meanwhile stands at once")
	require.Equal(t, head.Seq, w.head().Seq)
	require.Empty(t, w.refusals())
	require.FileExists(t, w.overrideFile())
	w.start(withToken)
	w.sync()
	require.EqualValues(t, 2, w.served(), "after a restart too")
	w.fail(nil)
	w.sync()
	require.EqualValues(t, 2, w.served())
	require.Len(t, w.refusals(), 1, "the note waited for the store")
	note := w.refusals()[0]
	require.Equal(t, "cli:ana", note.Actor)
	require.Equal(t, "errors all over", note.Given)
	require.Contains(t, note.Reason, "conflict")
	require.NoFileExists(t, w.overrideFile())
	require.True(t, w.confirmed(head.Seq))
}

// Reads work and writes don't: the canary goes on in the ledger, and this gateway must not confirm that.
func TestOverrideConfirmsNoEntryThatItDoesNotServe(t *testing.T) {
	w := withCanary(t, 0.5, withToken)
	w.point = 0
	base := w.head().Seq
	require.True(t, w.confirmed(base))
	w.fail(func(op, key string) bool { return op == "create" && strings.Contains(key, "/ledger/") })
	require.Equal(t, http.StatusAccepted, w.breakGlass(order).status)
	w.canary(2, 1, time.Hour)
	w.sync()
	require.EqualValues(t, 1, w.served())
	require.Equal(t, registry.Serve{Seq: base - 1, Epoch: w.head().State.Epoch, Champion: 1, Override: true}, w.beat())
	require.False(t, w.confirmed(base))
	require.False(t, w.confirmed(base+1))
	w.fail(nil)
	w.sync()
	require.Equal(t, base+2, w.head().Seq)
	require.True(t, w.confirmed(base+2), "a renewed lease voids no rollback")
}

// The answer to the write is lost: the entry is there, and is found by its key.
func TestAnAppendWhoseAnswerIsLostIsDoneOnce(t *testing.T) {
	w := withCanary(t, 1, withToken)
	before := w.head()
	w.fail(func(op, _ string) bool { return op == "create" })
	require.Equal(t, http.StatusAccepted, w.breakGlass(order).status)
	// Another gateway was faster.
	_, err := w.ledger.Do(context.Background(), func() registry.Command {
		c := registry.RollBack(before.State.Epoch, 1, 2, 0, "elsewhere")
		c.Actor, c.Time = "cli:ben", w.clock.Now()
		return c
	}())
	require.NoError(t, err)
	w.fail(nil)
	w.sync()
	require.Equal(t, before.Seq+1, w.head().Seq)
	require.Empty(t, w.refusals())
	require.EqualValues(t, 1, w.served())
	require.True(t, w.confirmed(before.Seq+1))
}

func TestAFullDiskDoesNotKeepAnOverrideFromBeingServed(t *testing.T) {
	w := withCanary(t, 1, withToken)
	folder := filepath.Join(w.dir, "overrides")
	require.NoError(t, os.RemoveAll(folder))
	require.NoError(t, os.WriteFile(folder, nil, 0o600))
	w.fail(everything)
	a := w.breakGlass(order)
	require.Equal(t, http.StatusAccepted, a.status, a.raw)
	require.Equal(t, false, a.body["durable"])
	require.EqualValues(t, 1, w.served())
	require.Contains(t, w.admin("/healthz").raw, "break-glass file")
}

func TestALedgerOfANewerReleaseIsOverriddenHereUntilItMovesOn(t *testing.T) {
	w := withCanary(t, 1, withToken)
	w.rewriteHead(`"format":1`, `"format":2`)
	w.start(withToken)
	w.dir = t.TempDir() // it must not remember the entry's hash
	w.start(withToken)
	w.sync()
	a := w.breakGlass(order)
	require.Equal(t, http.StatusAccepted, a.status, a.raw)
	require.Contains(t, a.body["ledger_error"], "format 2")
	require.EqualValues(t, 1, w.served())
	w.sync()
	require.EqualValues(t, 1, w.served())
	require.FileExists(t, w.overrideFile())
}

func TestAnUnknownModelOrAnEmptyGatewayCannotRollBack(t *testing.T) {
	w := newWorld(t, withToken)
	require.Equal(t, http.StatusNotFound, w.breakGlass(order).status)
	w = newWorld(t, withToken, func(c *serving.Config) { c.Models = []string{modelName} })
	w.fail(everything)
	require.Error(t, w.server.Sync(context.Background()))
	require.Equal(t, http.StatusServiceUnavailable, w.breakGlass(order).status)
}

func TestBreakGlassIsToldInTheLogWithoutTheToken(t *testing.T) {
	w := withCanary(t, 1)
	log := w.restartWith(nil, withToken)
	w.sync()
	require.Equal(t, http.StatusOK, w.breakGlass(order).status)
	require.Equal(t, 1, log.count(`msg="break-glass rollback" model=flight-delay actor=cli:ana reason="errors all over" outcome=appended`))
	require.Zero(t, log.count(adminToken))
}

// No route that was in the making while the order came brings the challenger back.
func TestOverrideHoldsWhileTheLedgerIsFollowed(t *testing.T) {
	w := withCanary(t, 1, withToken)
	w.fail(func(op, key string) bool { return op == "create" && strings.Contains(key, "/ledger/") })
	var syncs sync.WaitGroup
	stop := make(chan struct{})
	syncs.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = w.server.Sync(context.Background())
			}
		}
	})
	require.Equal(t, http.StatusAccepted, w.breakGlass(order).status)
	for range 200 {
		require.EqualValues(t, 1, w.served())
	}
	close(stop)
	syncs.Wait()
}

// The store hangs: nobody is answered by the challenger while it is waited for.
func TestChallengerIsOutWhileTheLedgerIsAsked(t *testing.T) {
	w := withCanary(t, 1, withToken, func(c *serving.Config) { c.BreakGlass = 10 * time.Second })
	asked, answer := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.hang = func(op, key string) bool {
		if strings.Contains(key, "/ledger/") {
			once.Do(func() { close(asked) })
			<-answer
		}
		return false
	}
	done := make(chan int)
	go func() { done <- w.breakGlass(`{"actor": "cli:ana", "reason": "r", "to": 9}`).status }()
	<-asked
	require.EqualValues(t, 1, w.served())
	close(answer)
	require.Equal(t, http.StatusConflict, <-done)
	require.EqualValues(t, 2, w.served(), "the ledger doesn't allow it: as before")
}

// The ledger already has what is ordered, and this gateway hasn't read that yet.
func TestARollbackThatIsThereAlreadyIsServedAtOnceToo(t *testing.T) {
	w := withCanary(t, 1, withToken)
	w.rollback()
	a := w.breakGlass(order)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, "already", a.body["outcome"])
	require.EqualValues(t, 1, w.served(), "whoever was told so must be able to rely on it")
	w.sync()
	w.sync()
	require.EqualValues(t, 1, w.served())
	require.False(t, w.beat().Override)
	require.True(t, w.confirmed(w.head().Seq))
	w.canary(w.register(flights(2)), 1, time.Hour)
	w.sync()
	require.EqualValues(t, 3, w.served(), "it stands in no other challenger's way")
}

// The ledger moved to another challenger, and this gateway hasn't read that yet.
func TestARollbackOfANewerChallengerTakesTheOlderOneOutToo(t *testing.T) {
	w := withCanary(t, 1, withToken)
	w.rollback()
	w.canary(w.register(flights(2)), 1, time.Hour)
	a := w.breakGlass(order)
	require.Equal(t, "appended", a.body["outcome"], a.raw)
	require.EqualValues(t, 3, a.body["challenger"])
	require.EqualValues(t, 1, w.served())
	w.sync()
	require.EqualValues(t, 1, w.served())
	require.True(t, w.confirmed(w.head().Seq))
}

// Somebody returned to a former champion; somebody else only wants the challenger out. The first order isn't undone.
func TestAnOrderForTheChampionThereIsKeepsTheOneThatAStoredOrderReturnedTo(t *testing.T) {
	for _, storeBack := range []bool{false, true} {
		w := withCanary(t, 1, withToken)
		w.promote(2)
		w.canary(w.register(flights(2)), 1, time.Hour)
		w.sync()
		w.fail(everything)
		require.Equal(t, http.StatusAccepted, w.breakGlass(`{"actor": "cli:ana", "reason": "r", "to": 1}`).status)
		require.EqualValues(t, 1, w.served())
		if storeBack {
			w.fail(nil)
		}
		a := w.breakGlass(`{"actor": "cli:ben", "reason": "r"}`)
		require.EqualValues(t, 1, a.body["champion"], a.raw)
		require.EqualValues(t, 1, w.served())
		w.fail(nil)
		w.sync()
		require.Equal(t, 1, w.head().State.Champion)
		require.EqualValues(t, 1, w.served())
		require.Empty(t, w.refusals())
	}
}

// The ledger takes the challenger out while an order is asked about, and the new champion takes long to load: when the
// order is refused, the challenger isn't back meanwhile.
func TestARefusedOrderBringsNoChallengerBackThatTheLedgerTookOut(t *testing.T) {
	slow := func(c *serving.Config) { c.BreakGlass, c.ReadTimeout = time.Minute, time.Minute }
	w := withCanary(t, 1, withToken, slow)
	w.rollback()
	v := w.register(flights(2))
	w.canary(v, 1, time.Hour)
	w.promote(v)
	asking, answer := make(chan struct{}), make(chan struct{})
	loading, load := make(chan struct{}), make(chan struct{})
	var first, fetch atomic.Bool
	w.hang = func(_, key string) bool {
		switch {
		case strings.Contains(key, "/ledger/") && first.CompareAndSwap(false, true):
			close(asking)
			<-answer
		case strings.Contains(key, "/artifacts/") && fetch.CompareAndSwap(false, true):
			close(loading)
			<-load
		}
		return false
	}
	ordered, synced := make(chan int), make(chan error)
	go func() { ordered <- w.breakGlass(`{"actor": "cli:ana", "reason": "r", "to": 9}`).status }()
	<-asking
	go func() { synced <- w.server.Sync(context.Background()) }()
	<-loading
	close(answer)
	require.Equal(t, http.StatusConflict, <-ordered)
	require.EqualValues(t, 1, w.served())
	close(load)
	require.NoError(t, <-synced)
	require.EqualValues(t, 3, w.served())
}
