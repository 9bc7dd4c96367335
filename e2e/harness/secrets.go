package harness

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// CardsUsed are all card numbers with which the end-to-end tests pay, valid and invalid.
var CardsUsed = []string{
	"4242424242424242", "5555555555554444", "4000000000000002", "4000000000003220", "4000000000006108",
	"4000000000006157", "4000000000006140", "4000000000000127", "4242424242424241", "378282246310005",
}

// cardSecrets are the forms in which a number or code could have been stored. Four digits occur
// by chance in random data, so the code is searched for beside its name.
func cardSecrets() []string {
	secrets := []string{`"cvc"`, "cvc=", "cvc:7391", "cvc 7391"}
	for _, n := range CardsUsed {
		var spaced []string
		for i := 0; i < len(n); i += 4 {
			spaced = append(spaced, n[i:min(i+4, len(n))])
		}
		secrets = append(secrets, n, strings.Join(spaced, " "), strings.Join(spaced, "+"), strings.Join(spaced, "-"))
		// Base64 within a longer text has three alignments.
		for shift := range 3 {
			raw := append(make([]byte, shift), n...)
			coded := base64.RawStdEncoding.EncodeToString(raw)
			secrets = append(secrets, coded[4:len(coded)-2])
		}
	}
	return secrets
}

// keptNowhere fails the test when content carries a card.
func keptNowhere(t testing.TB, where string, content []byte) {
	t.Helper()
	for _, s := range cardSecrets() {
		if i := bytes.Index(content, []byte(s)); i >= 0 {
			t.Errorf("I15: %s has %q: …%q…", where, s, content[max(0, i-60):min(len(content), i+60)])
		}
	}
}

// folderKeepsNoCard reads every file of a folder, which must have at least that many.
func folderKeepsNoCard(t testing.TB, dir string, least int) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // a journal that SQLite has just removed
		}
		if err != nil {
			return err
		}
		files++
		keptNowhere(t, path, content)
		return nil
	})
	if err != nil || files < least {
		t.Fatalf("%s: %d files, %v", dir, files, err)
	}
}

// NoCardAnywhere searches for the cards in everything that a server leaves behind, while it runs
// and after it has ended, and checks the data's invariants.
func NoCardAnywhere(t *testing.T, p *Process, key *Client, s *Shop) {
	t.Helper()
	events := 0
	for more := true; more; {
		a := key.Do("GET", fmt.Sprintf("/api/events?afterSeq=%d&limit=100", events), "")
		keptNowhere(t, "the events", a.Body)
		got := List(t, a.JSON, "data")
		events += len(got)
		more = len(got) > 0
	}
	if events == 0 {
		t.Error("there are no events")
	}
	keptNowhere(t, "the history", key.Do("GET", "/api/payments?limit=100", "").Body)
	keptNowhere(t, "the history as CSV", key.Do("GET", "/api/payments.csv", "").Body)
	if s != nil {
		if s.Received() == "" {
			t.Error("no webhook came")
		}
		keptNowhere(t, "the webhooks", []byte(s.Received()))
	}
	folderKeepsNoCard(t, p.Data, 3)
	if p.all != nil {
		p.all.databaseKeepsNoCard()
	}
	copied := filepath.Join(t.TempDir(), "backup")
	if out, errs, status := Command(t, "backup", "--data", p.Data, copied); status != 0 {
		t.Fatalf("backup: %d %s%s", status, out, errs)
	}
	folderKeepsNoCard(t, copied, 1)
	Verified(t, p.Data)
	p.Stop()
	folderKeepsNoCard(t, p.Data, 3)
	keptNowhere(t, "the logs", []byte(p.Logs.String()))
	if !strings.Contains(p.Logs.String(), "serving") {
		t.Error("the logs were not captured")
	}
	Verified(t, p.Data)
	Verified(t, copied)
}

// Verified runs the command verify, which must find nothing broken.
func Verified(t testing.TB, data string) {
	t.Helper()
	out, errs, status := Command(t, "verify", "--data", data)
	if status != 0 || !strings.Contains(out, " 0 broken") {
		t.Errorf("verify %s: %d\n%s%s", data, status, out, errs)
	}
}
