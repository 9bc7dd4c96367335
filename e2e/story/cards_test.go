package story

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/issuer"
)

// visaNumber returns a random number of 16 digits.
func visaNumber(r *rand.Rand) string {
	b := []byte("41")
	for len(b) < 15 {
		b = append(b, '0'+byte(r.IntN(10)))
	}
	for check := byte('0'); ; check++ {
		if _, err := cardOf(append(b[:15:15], check)); err == nil {
			return string(b) + string(check)
		}
	}
}

// cardOf returns the card of a number.
func cardOf(number []byte) (issuer.Card, error) {
	return issuer.NewCard(number, 12, 2034, []byte("7391"), "", time.Now())
}

// payForm pays a link by the page's form.
func payForm(t *testing.T, p *harness.Process, l map[string]any, attempt, number string) {
	t.Helper()
	body := url.Values{"attempt": {attempt}, "number": {number}, "exp": {"12/34"}, "cvc": {"7391"}, "name": {"Ada"},
		"email": {"ada@example.com"}}.Encode()
	to := p.URL + harness.TokenPath(t, l) + "/payments"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d, %v", resp.StatusCode, err)
	}
}

// contents returns every file below the folders.
func contents(t *testing.T, dirs ...string) (all []byte) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			all = append(append(all, raw...), '\n')
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// lakeCard is what the lake has of a card.
type lakeCard struct {
	Brand       string `parquet:"card_brand,optional"`
	BIN         string `parquet:"card_bin,optional"`
	Last4       string `parquet:"card_last4,optional"`
	Fingerprint string `parquet:"card_fingerprint,optional"`
}

// inLake returns the cards of the payments in a lake.
func inLake(t *testing.T, dir string) (all []lakeCard) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) || err == nil && (d.IsDir() || !strings.Contains(path, "table=payments/") || filepath.Ext(path) != ".parquet") {
			return nil
		}
		if err != nil {
			return err
		}
		cards, err := parquet.ReadFile[lakeCard](path)
		all = append(all, cards...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// thief has everything that an installation leaves behind, with its keys.
type thief struct {
	loot   []byte
	hashes map[string]bool // every hash of 128 bits or more in it, by its first 128 bits
	keys   [][]byte
}

// steal takes the files of a server and its backup, and texts that it sent.
func steal(t *testing.T, folders []string, texts ...string) thief {
	t.Helper()
	s := thief{loot: append(contents(t, folders...), strings.Join(texts, "\n")...), hashes: map[string]bool{}}
	for _, hash := range regexp.MustCompile(`[0-9a-f]{32,}`).FindAll(s.loot, -1) {
		s.hashes[string(hash[:32])] = true
	}
	var ring struct{ Keys []struct{ Secret []byte } }
	raw, err := os.ReadFile(filepath.Join(folders[0], "keys", "keys.json"))
	if err == nil {
		err = json.Unmarshal(raw, &ring)
	}
	if err != nil || len(ring.Keys) < 10 || bytes.Contains(raw, []byte("card-mac")) {
		t.Fatalf("%d keys, %v", len(ring.Keys), err)
	}
	for _, k := range ring.Keys {
		s.keys = append(s.keys, k.Secret)
	}
	return s
}

// betrays reports whether anything in the loot follows from the number and nothing else: the number
// itself, or a hash of it, alone or with what the version before bound it to, under any key.
func (s thief) betrays(accounts []string, number string) bool {
	messages := []string{number, "installation\x00" + number}
	for _, a := range accounts {
		messages = append(messages, "account\x00"+a+"\x00test\x00"+number)
	}
	for _, message := range messages {
		plain := sha256.Sum256([]byte(message))
		if s.hashes[hex.EncodeToString(plain[:16])] {
			return true
		}
		for _, k := range s.keys {
			mac := hmac.New(sha256.New, k)
			mac.Write([]byte(message))
			if s.hashes[hex.EncodeToString(mac.Sum(nil)[:16])] {
				return true
			}
		}
	}
	return false
}

// fitting returns how many numbers with the same first and last digits fit everything in the loot,
// and whether the number is one of them.
func (s thief) fitting(t *testing.T, accounts []string, number string) (n int, itself bool) {
	t.Helper()
	prints := regexp.MustCompile(`card_`+number[:6]+`_`+number[12:]+`(_[0-7])?`).FindAllString(string(s.loot), -1)
	if len(prints) < 5 {
		t.Fatalf("fingerprints %q", prints)
	}
	for hidden := range 1_000_000 {
		candidate := fmt.Appendf(nil, "%s%06d%s", number[:6], hidden, number[12:])
		card, err := cardOf(candidate)
		if err != nil {
			continue
		}
		fits := true
		for _, p := range prints {
			fits = fits && issuer.SameCard(p, card.Fingerprint())
		}
		if fits && !s.betrays(accounts, string(candidate)) {
			n++
			itself = itself || string(candidate) == number
		}
	}
	return n, itself
}

// TestI15_NoCardComesBack pays with random cards, by form and by JSON, at two accounts, with approved
// and held payments. Then it takes everything that is stored, sent and logged, with a backup and the
// keys, and tries every number: ten thousand or more fit equally.
func TestI15_NoCardComesBack(t *testing.T) {
	lake := filepath.Join(t.TempDir(), "lake")
	p := harness.Start(t, "--lake", lake, "--lake-age", "1s")
	ada, key := p.Merchant(t, "ada")
	eve, other := p.Merchant(t, "eve")
	shop := harness.OpenShop(t)
	shop.Register(key)
	var accounts []string
	for _, user := range []*harness.Client{ada, eve} {
		accounts = append(accounts, harness.Str(t, user.OK("GET", "/api/users/me", ""), "account"))
	}

	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	numbers := []string{visaNumber(r), visaNumber(r)}
	var sent []string
	for i, number := range numbers {
		for j, client := range []*harness.Client{key, other, key} {
			l := client.Link(`"amount":"12.50"`)
			attempt := fmt.Sprintf("attempt-%08d-%03d", i, j)
			if j == 0 {
				payForm(t, p, l, attempt, number[:4]+" "+number[4:8]+"-"+number[8:])
			} else {
				client.PayJSON(l, attempt, number)
			}
			paid := harness.PaymentsOf(client, l)[0]
			print := harness.Str(t, paid["card"].(map[string]any), "fingerprint")
			if j == 1 { // the next attempt is held, and the rule saw the card
				key.OK("POST", "/api/fraud/lists", `{"kind":"card","value":"`+print+`","action":"review"}`)
			}
			if j == 2 && paid["status"] != "authorized" {
				t.Errorf("a listed card: %v", paid["status"])
			}
		}
	}
	for _, c := range []*harness.Client{key, other} {
		for _, path := range []string{"/api/events?limit=100", "/api/payments?limit=100", "/api/payments.csv", "/api/fraud/lists"} {
			sent = append(sent, string(c.Do("GET", path, "").Body))
		}
	}
	shop.Heard("payment.succeeded", "fraud.flagged")
	await.Until(t, "the cards are in the lake", func() bool {
		cards := fmt.Sprintf("%+v", inLake(t, lake))
		return strings.Contains(cards, numbers[0][:6]) && strings.Contains(cards, numbers[1][:6])
	})
	sent = append(sent, fmt.Sprintf("%+v", inLake(t, lake)))

	backup := filepath.Join(t.TempDir(), "backup")
	if out, errs, status := harness.Command(t, "backup", "--data", p.Data, backup); status != 0 {
		t.Fatalf("backup: %d %s%s", status, out, errs)
	}
	p.Stop()
	s := steal(t, []string{p.Data, backup, lake}, append(sent, shop.Received(), p.Logs.String())...)
	for _, number := range numbers {
		if bytes.Contains(s.loot, []byte(number)) {
			t.Fatal("the number itself is there")
		}
		if n, itself := s.fitting(t, accounts, number); n < 10_000 || !itself {
			t.Errorf("%d numbers fit everything, the card's own: %v", n, itself)
		}
	}
	harness.Verified(t, p.Data)
}

// TestI15_MemoryImage pays 25 times, by form and by JSON, and reads the memory of the server: at most
// two of the numbers are in it, soon.
func TestI15_MemoryImage(t *testing.T) {
	if _, err := os.Stat("/proc/self/mem"); err != nil {
		t.Log("there is no /proc here: the image cannot be read")
		return
	}
	p := harness.Start(t, "--allow-dumps")
	_, key := p.Merchant(t, "ada")
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
	var numbers []string
	for i := range 25 {
		number := visaNumber(r)
		numbers = append(numbers, number)
		l, attempt := key.Link(`"amount":"12.50"`), fmt.Sprintf("attempt-%012d", i)
		switch i % 3 {
		case 0:
			payForm(t, p, l, attempt, number)
		case 1:
			payForm(t, p, l, attempt, number[:4]+" "+number[4:8]+" "+number[8:12]+" "+number[12:])
		default:
			key.PayJSON(l, attempt, number)
		}
		if i%3 != 2 || harness.PaymentsOf(key, l)[0]["status"] == "succeeded" {
			continue
		}
		t.Fatal("a payment did not succeed")
	}
	var found []string
	defer func() {
		if t.Failed() {
			t.Logf("in the image: %q", found)
		}
	}()
	await.Until(t, "the numbers are gone from memory", func() bool {
		found = inMemory(t, p.PID(), numbers)
		return len(found) <= 2
	})
	t.Logf("%d of %d numbers are in memory", len(found), len(numbers))
}

// inMemory returns the numbers that a process has in its writable memory, in any form in which they
// were sent.
func inMemory(t *testing.T, pid int, numbers []string) (found []string) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mem.Close() }()
	seen, read := map[string]bool{}, 0
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		image := make([]byte, to-from)
		n, _ := mem.ReadAt(image, from) // pages that were never used may be unreadable
		read += n
		for _, number := range numbers {
			for _, form := range []string{number, strings.Join([]string{number[:4], number[4:8], number[8:12], number[12:]}, "+"),
				strings.Join([]string{number[:4], number[4:8], number[8:12], number[12:]}, " ")} {
				if bytes.Contains(image[:n], []byte(form)) && !seen[number] {
					seen[number] = true
					found = append(found, number)
				}
			}
		}
	}
	if read < 1<<20 {
		t.Fatalf("only %d bytes of the process could be read", read)
	}
	return found
}
