package cli

import (
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/e2e/harness"
)

// writeLabelled writes ten weeks of payments in which a payee is compromised for a week at a
// time.
func writeLabelled(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var w io.Writer = f
	if filepath.Ext(path) == ".gz" {
		z := gzip.NewWriter(f)
		defer func() {
			if err := z.Close(); err != nil {
				t.Error(err)
			}
		}()
		w = z
	}
	random := rand.New(rand.NewPCG(1, 1))
	at := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	_, _ = fmt.Fprintln(w, "transaction,time,card,merchant,amount,fraud")
	for i := range 10_000 {
		at = at.Add(10 * time.Minute)
		payee, bad := random.IntN(20), 0
		if payee == i/3000 {
			bad = 1
		}
		_, _ = fmt.Fprintf(w, "%d,%s,%d,%d,%d.50,%d\n", i, at.Format(time.RFC3339), random.IntN(200), payee, 1+random.IntN(90), bad)
	}
}

// TestFraudCommands trains on a file and scores it, writes a model, and checks that errors in
// file, ranges or labels are reported.
func TestFraudCommands(t *testing.T) {
	dir := t.TempDir()
	file, zipped, model := filepath.Join(dir, "l.csv"), filepath.Join(dir, "l.csv.gz"), filepath.Join(dir, "model")
	writeLabelled(t, file)
	writeLabelled(t, zipped)
	days := []string{"--train", "2026-03-20..2026-04-10", "--test", "2026-04-17..2026-04-24", "--delay", "7d"}
	for _, csv := range []string{file, zipped} {
		harness.Worked(t, "both, as used", append([]string{"fraud", "evaluate", "--csv", csv}, days...)...)
	}
	harness.Worked(t, "model ", "fraud", "train", "--csv", zipped, "--train", days[1], "--out", model)
	if info, err := os.Stat(model); err != nil || info.Size() == 0 {
		t.Errorf("the model: %v", err)
	}
	harness.Refused(
		t,
		"before the labels of the training are known",
		"fraud",
		"evaluate",
		"--csv",
		file,
		"--train",
		days[1],
		"--test",
		"2026-04-16..2026-04-24",
	)
	harness.Refused(t, "is not FROM..TO", "fraud", "evaluate", "--csv", file, "--train", "2026-03-20", "--test", days[3])
	harness.Refused(t, `--delay: "soon"`, "fraud", "evaluate", "--csv", file, "--train", days[1], "--test", days[3], "--delay", "soon")
	harness.Refused(t, "have no transactions", "fraud", "evaluate", "--csv", file, "--train", days[1], "--test", "2027-01-01..2027-01-08")
	harness.Refused(t, "fewer than 50 known frauds", "fraud", "train", "--csv", file, "--train", "2026-03-20..2026-03-21", "--out", model)
	for name, text := range map[string]string{
		`the column "fraud" is missing`:      "transaction,time,card,merchant,amount\n",
		`line 3: not in chronological order`: "transaction,time,card,merchant,amount,fraud\n1,2026-03-02T00:00:01Z,1,1,1.00,0\n2,2026-03-02T00:00:00Z,1,1,1.00,0\n",
		`line 2: amount`:                     "transaction,time,card,merchant,amount,fraud\n1,2026-03-02T00:00:01Z,1,1,1.005,0\n",
		`line 2: fraud: "2" is not 0 or 1`:   "transaction,time,card,merchant,amount,fraud\n1,2026-03-02T00:00:01Z,1,1,1.00,2\n",
		`line 2: record on line 2: wrong`:    "transaction,time,card,merchant,amount,fraud\n1,2026\n",
	} {
		bad := filepath.Join(dir, "bad.csv")
		if err := os.WriteFile(bad, []byte(strings.TrimLeft(text, " ")), 0o600); err != nil {
			t.Fatal(err)
		}
		harness.Refused(t, name, append([]string{"fraud", "evaluate", "--csv", bad}, days...)...)
	}
}
