package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// TestModelCommands checks that a running server follows a promotion and a roll-back within ten
// seconds, and that every command reports what it cannot do.
func TestModelCommands(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := harness.StartOn(t, data, harness.FreeAddress(t))
	models := func(words string, args ...string) {
		t.Helper()
		harness.Worked(t, words, append(append([]string{"fraud"}, args...), "--data", data)...)
	}
	refused := func(words string, args ...string) {
		t.Helper()
		harness.Refused(t, words, append(append([]string{"fraud"}, args...), "--data", data)...)
	}
	models("no models yet", "models", "list")
	refused("fewer than 50 known frauds", "train")
	refused("given together", "train", "--csv", filepath.Join(data, "none.csv"))
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
		info, file := harness.Model(t, seed)
		if err := store.AddModel(t.Context(), info, file); err != nil {
			t.Fatal(err)
		}
		versions = append(versions, info.Version)
	}
	follows := func(version string, times int) {
		t.Helper()
		await.Until(t, "the server scores with "+version, func() bool {
			return strings.Count(p.Logs.String(), `"version":"`+version+`","state":"running"`) == times
		})
	}
	models("is running", "models", "promote", versions[0])
	follows(versions[0], 1)
	models("is running", "models", "promote", versions[1])
	follows(versions[1], 1)
	models(versions[0]+" is running again", "models", "rollback")
	follows(versions[0], 2)
	models("is shadow", "models", "shadow", versions[1])
	refused("too few to compare", "models", "compare", versions[1])
	models("is retired", "models", "retire", versions[1])
	models("running", "models", "list")
}
