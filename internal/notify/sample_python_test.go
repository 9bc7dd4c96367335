package notify_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/store/sqltest"
)

// judge asks the sample about requests, each a secret, headers and a body.
const judge = `
import json, sys
for secret, headers, body in json.load(sys.stdin):
    print(genuine(secret, headers, body.encode()))
`

// TestPythonSample: the sample of docs/webhooks.md accepts what we sign, even while a secret
// rolls, and nothing that was altered or is old.
func TestPythonSample(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "webhooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(doc), "```python\n")
	sample, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("docs/webhooks.md has no Python sample")
	}
	w := newWorld(t, sqltest.File(t))
	w.now = time.Now() // the sample has a clock of its own
	made := w.create(t, account)
	rolled, err := w.Rotate(t.Context(), account, mode, made.Endpoint.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := w.Get(t.Context(), account, mode, made.Endpoint.ID)
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"id":"evt_1","amount":"12.50","name":"Zoë"}`
	signed := func(at time.Time) map[string]string {
		h, err := w.Keys.SignFor(endpoint, "evt_1", at, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return map[string]string{notify.HeaderID: h.ID, notify.HeaderTimestamp: h.Timestamp, notify.HeaderSignature: h.Signature}
	}
	good, old := signed(w.now), signed(w.now.Add(-time.Hour))
	other := signed(w.now)
	other[notify.HeaderID] = "evt_2"
	requests := [][]any{{made.Secret, good, body}, {rolled.Secret, good, body},
		{rolled.Secret, good, body + " "}, {rolled.Secret, old, body}, {rolled.Secret, other, body},
		{"whsec_" + strings.Repeat("A", 32), good, body}}
	in, err := json.Marshal(requests)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", sample+judge)
	cmd.Stdin = strings.NewReader(string(in))
	out, err := cmd.CombinedOutput()
	if want := "True\nTrue\nFalse\nFalse\nFalse\nFalse\n"; err != nil || string(out) != want {
		t.Fatalf("%v\n%s\nwant\n%s", err, out, want)
	}
}
