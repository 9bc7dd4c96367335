package cli

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// shellBlocks returns the fenced blocks of a section of README.md.
func shellBlocks(t *testing.T, heading string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(harness.ModuleRoot(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(raw), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("README.md has no %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []string
	for i, part := range strings.Split(section, "\n```") {
		if i%2 == 1 {
			blocks = append(blocks, part[strings.Index(part, "\n")+1:])
		}
	}
	return blocks
}

// TestReadmeFirstPayment runs README.md's commands twice, as it says is possible, in a shell,
// beside a server started as "make run" starts it.
func TestReadmeFirstPayment(t *testing.T) {
	blocks := shellBlocks(t, "## A first payment")
	if len(blocks) != 2 {
		t.Fatalf("README.md's first payment has %d blocks", len(blocks))
	}
	p := harness.Start(t, "--demo")
	printed := regexp.MustCompile(`API key +(key_\S+) +secret +(pl_test_\S+)\n`)
	var found []string
	await.Until(t, "the server prints the key", func() bool {
		found = printed.FindStringSubmatch(p.Logs.String())
		return found != nil
	})
	// What a reader substitutes for the placeholders; the port is this test's.
	fill := func(block string, pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(block, pairs[i]) {
				t.Errorf("README.md has no %q to put something in place of:\n%s", pairs[i], block)
			}
			block = strings.ReplaceAll(block, pairs[i], pairs[i+1])
		}
		return block
	}
	create := fill(blocks[0], "key_…", found[1], "pl_test_…", found[2], "http://127.0.0.1:8080", p.URL)
	first, second := shell(t, create), shell(t, create)
	var l struct{ ID, URL, Amount, Status string }
	if err := json.Unmarshal([]byte(first), &l); err != nil || first != second || l.Amount != "12.50" ||
		!strings.HasPrefix(l.URL, p.URL+"/l/") {
		t.Fatalf("%v\n%s\n%s", err, first, second)
	}
	exported, _, _ := strings.Cut(create, "\n") // the reader's shell still knows it
	pay := exported + "\n" + fill(blocks[1], "http://127.0.0.1:8080/l/…", l.URL, "http://127.0.0.1:8080", p.URL)
	type paid struct{ ID, Status string }
	var payments []paid
	for range 2 {
		answers := json.NewDecoder(strings.NewReader(shell(t, pay)))
		var one paid
		var history struct {
			Data []struct{ ID, Status, Link string }
		}
		if err := answers.Decode(&one); err != nil || one.Status != "succeeded" {
			t.Fatalf("paying: %+v, %v", one, err)
		}
		if err := answers.Decode(&history); err != nil || len(history.Data) != 1 || history.Data[0].ID != one.ID || history.Data[0].Link != l.ID {
			t.Fatalf("the history: %+v, %v", history, err)
		}
		payments = append(payments, one)
	}
	if payments[0] != payments[1] {
		t.Errorf("the same request twice: %v", payments)
	}
}

// shell runs a script that must succeed, and returns its output.
func shell(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
	return string(out)
}

// TestCardsAreDocumented checks that the API document has the test cards, as README.md says.
func TestCardsAreDocumented(t *testing.T) {
	read := func(path ...string) string {
		raw, err := os.ReadFile(filepath.Join(append([]string{harness.ModuleRoot(t)}, path...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	document := read("docs", "api", "openapi.yaml")
	cards := regexp.MustCompile(`"(\d{16})"`).FindAllStringSubmatch(read("internal", "issuer", "simulator", "cards.go"), -1)
	if len(cards) < 10 {
		t.Fatalf("%d cards", len(cards))
	}
	for _, c := range cards {
		if !strings.Contains(document, "| "+c[1]+" |") {
			t.Errorf("docs/api/openapi.yaml does not tell what card %s does", c[1])
		}
	}
}
