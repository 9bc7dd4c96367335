package main_test

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// fitted is a small model, another one for each seed.
func fitted(t *testing.T, seed uint64) (learning.Info, []byte) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	var set score.Set
	for range 400 {
		var v score.Vector
		for f := range v {
			v[f] = random.Float32()
		}
		set.Add(&v, score.Attempt{}, v[0] > 0.7)
	}
	to := time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC)
	m, err := score.Fit(set, score.Range{From: to.AddDate(0, 0, -28), To: to}, to)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := score.WriteModel(&file, m); err != nil {
		t.Fatal(err)
	}
	return learning.Info{Version: m.Version, TrainedAt: to, From: m.From, To: m.To, Payments: m.Payments, Frauds: m.Frauds}, file.Bytes()
}

// TestModelCommands: a server that runs follows a promotion and a roll-back within ten
// seconds, and every command says what it cannot do.
func TestModelCommands(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := serveOn(t, data, freeAddress(t))
	models := func(words string, args ...string) {
		t.Helper()
		worked(t, words, append(append([]string{"fraud"}, args...), "--data", data)...)
	}
	refused := func(words string, args ...string) {
		t.Helper()
		refusedWith(t, words, append(append([]string{"fraud"}, args...), "--data", data)...)
	}
	models("there is no model yet", "models", "list")
	refused("fewer than 50 known frauds", "train")
	refused("go together", "train", "--csv", filepath.Join(data, "none.csv"))
	refused("no model is running", "models", "rollback")
	refused("There is no such model", "models", "promote", "nobody's")
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(data, "paylink.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	var versions []string
	for seed := range uint64(2) {
		info, file := fitted(t, seed)
		if err := store.AddModel(t.Context(), info, file); err != nil {
			t.Fatal(err)
		}
		versions = append(versions, info.Version)
	}
	follows := func(version string, times int) {
		t.Helper()
		eventually(t, "the server scores with "+version, func() bool {
			return strings.Count(p.logs.String(), `"version":"`+version+`","state":"running"`) == times
		})
	}
	models("is running", "models", "promote", versions[0])
	follows(versions[0], 1)
	models("is running", "models", "promote", versions[1])
	follows(versions[1], 1)
	models(versions[0]+" is running again", "models", "rollback")
	follows(versions[0], 2)
	models("is shadow", "models", "shadow", versions[1])
	refused("nothing can be compared yet", "models", "compare", versions[1])
	models("is retired", "models", "retire", versions[1])
	models("running", "models", "list")
}
