package serving_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// canaryIs says that a state, and no other, is the canary's.
func (w *world) canaryIs(state string) {
	w.t.Helper()
	var is []string
	for _, found := range regexp.MustCompile(`leanloop_canary_status\{model="flight-delay",status="(\w+)"\} ([01])`).FindAllStringSubmatch(w.admin("/metrics").raw, -1) {
		if found[2] == "1" {
			is = append(is, found[1])
		}
	}
	require.Equal(w.t, []string{state}, is)
	require.Equal(w.t, state, w.admin("/routes").body["models"].([]any)[0].(map[string]any)["canary"])
}

func TestTheCanarysStateIsTold(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.sync()
	w.canaryIs("none")
	v := w.register(flights(1))
	w.canary(v, 0, 10*time.Minute)
	w.sync()
	w.canaryIs("mirrored")
	w.canary(v, 0.5, 30*time.Second)
	w.sync()
	w.canaryIs("live")
	w.clock.advance(31 * time.Second)
	w.canaryIs("expired")
	w.canary(v, 0.5, 10*time.Minute)
	w.sync()
	w.clock.advance(2 * time.Minute)
	w.canaryIs("stale")
	w.sync()
	w.canaryIs("live")
	w.rollback()
	w.sync()
	w.canaryIs("none")
}

func TestAChallengerThatCantBeLoadedIsTold(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.sync()
	w.canary(w.register(flights(1)), 0.5, 10*time.Minute)
	w.fail(func(op, key string) bool { return op == "get" && strings.Contains(key, "/artifacts/") })
	require.Error(t, w.server.Sync(t.Context()))
	w.canaryIs("unloaded")
}

func TestMetricsHaveTheVersionsThatWereServedLast(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.sync()
	w.predict(goodRow)
	for i := range 12 {
		v := w.register(flights(float64(i + 1)))
		w.canary(v, 1, time.Hour)
		w.sync()
		w.predict(goodRow)
		w.promote(v)
		w.sync()
		w.predict(goodRow)
	}
	versions := map[string]bool{}
	for _, found := range regexp.MustCompile(`leanloop_predictions_total\{.*version="(\d+)"`).FindAllStringSubmatch(w.admin("/metrics").raw, -1) {
		versions[found[1]] = true
	}
	require.Len(t, versions, 8)
	for n := 6; n <= 13; n++ {
		require.True(t, versions[fmt.Sprint(n)], n)
	}
}
