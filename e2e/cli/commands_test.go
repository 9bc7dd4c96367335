package cli

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/mail/mailtest"
)

// TestCommands runs every command of an operator.
func TestCommands(t *testing.T) {
	t.Parallel()
	t.Run("configuration", func(t *testing.T) {
		dir := t.TempDir()
		harness.Worked(t, "paylink", "version")
		harness.Worked(t, "is valid", "check-config", "--data", dir)
		harness.Refused(t, "--listen", "check-config", "--data", dir, "--listen", "nowhere")
		harness.Refused(t, "--public-url", "check-config", "--data", dir, "--public-url", "ftp://example.com")
		harness.Refused(t, "--log-level", "check-config", "--data", dir, "--log-level", "loud")
		for _, verb := range []string{"check-config", "serve"} {
			harness.Refused(t, "want all alone, or some of fraud, gateway", verb, "--data", dir, "--target", "everything")
			harness.Refused(t, "want sqlite:PATH", verb, "--data", dir, "--store", "mysql://root:hunter2@db/x")
			harness.Refused(t, "--payments-store", verb, "--data", dir, "--payments-store", "dynamodb://table?regoin=eu-west-1")
		}
		if _, errs, _ := harness.Command(t, "check-config", "--data", dir, "--store", "mysql://root:hunter2@db/x"); strings.Contains(
			errs,
			"hunter2",
		) {
			t.Errorf("the message tells the password: %s", errs)
		}
		harness.Worked(t, "is valid", "check-config", "--data", dir, "--store", "postgres://paylink@127.0.0.1/paylink")
		harness.Refused(t, "--store", "check-config", "--data", dir, "--store", "postgres://paylink:hunter2@127.0.0.1:none/paylink")
		harness.Refused(t, "unexpected argument", "fly")
	})
	t.Run("configuration file", configures)
	t.Run("probe", func(t *testing.T) {
		health := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		harness.Worked(t, "", "probe", health.URL+"/readyz")
		harness.Refused(t, "503 Service Unavailable", "probe", health.URL+"/other")
		health.Close()
		harness.Refused(t, "connection refused", "probe", health.URL+"/readyz")
	})
	t.Run("split configuration", splitConfigurations)
	t.Run("migrate", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "data")
		harness.Worked(t, "was 0", "migrate", "--data", dir)
		harness.Worked(t, "schema", "migrate", "--data", dir)
		harness.Refused(t, "no keys", "keys", "rotate", "--data", dir)
	})
	t.Run("backup and restore", restores)
	t.Run("sealed keys", seals)
	t.Run("keys and links", rotates)
	t.Run("second process", shares)
	t.Run("drain", drains)
	t.Run("metrics", measures)
}

// configures checks that every member of the file is a setting, spelled in one way, or that the
// file is refused with the member's name.
func configures(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.json")
	holds := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, words := range map[string]string{
		`{"listen":"nowhere"}`:                            `--listen "nowhere"`,
		`{"target":["links"]}`:                            `--internal-listen: required, the address on which`,
		`{"public-url":"https://pay.example.com"}`:        `unknown setting "public-url": did you mean "public_url"?`,
		`{"publicUrl":"https://pay.example.com"}`:         `unknown setting "publicUrl": did you mean "public_url"?`,
		`{"Listen":"127.0.0.1:0"}`:                        `unknown setting "Listen": did you mean "listen"?`,
		`{"lissen":"127.0.0.1:0"}`:                        `unknown setting "lissen"; the settings are admin_listen, again, allow_dumps, allow_private_webhooks, allowed_hosts, country_header, csv, data,`,
		`{"serve":{"listen":"127.0.0.1:0"}}`:              `unknown setting "serve"; the settings are`,
		`{"fraud_budget":"2s"}`:                           `--fraud-budget 2s: want 1ms to 1s`,
		`{"fraud_budget":"0s"}`:                           `--fraud-budget 0s: want 1ms to 1s`,
		`{"fraud_budget":"soon"}`:                         `fraud-budget`,
		`{"config":"other.json"}`:                         `"config" cannot be set in the file`,
		`{"help":true}`:                                   `unknown setting "help"`,
		`{"listen":"127.0.0.1:0","listen":"127.0.0.1:1"}`: `"listen" is given twice`,
		`{"demo":"yes"}`:                                  `"demo" must be true or false`,
		`{"demo":null}`:                                   `"demo" must be true or false`,
		`{"listen":8080}`:                                 `"listen" must be a string`,
		`{"listen":null}`:                                 `"listen" must be a string`,
		`{"target":[1]}`:                                  `"target" must be a string, or a list of strings`,
		`{"target":["all",null]}`:                         `"target" must be a string, or a list of strings`,
		`{"service":"http://a:1"}`:                        `"service" must be an object whose members are strings`,
		`{"service":{"links":["http://a:1"]}}`:            `"service" must be an object whose members are strings`,
		`{"target":true}`:                                 `"target" must be a string, or a list of strings`,
		"{\n\"demo\": tru}":                               `line 2 is not valid JSON`,
		`{"demo":true} {}`:                                `line 1 is not valid JSON`,
		`[]`:                                              `must contain one JSON object`,
		`null`:                                            `must contain one JSON object`,
		``:                                                `not valid JSON`,
		`{"listen":"` + strings.Repeat("x", 70_000) + `"}`: `larger than 65536 bytes`,
		`{"typo":1,"demo":1,"data":"` + dir + `"}`:         "\"demo\" must be true or false, without quotes\nunknown setting \"typo\"",
	} {
		holds(text)
		for _, verb := range []string{"check-config", "serve"} {
			harness.Refused(t, words, verb, "--config", file, "--data", dir)
		}
		if strings.Contains(words, "setting") {
			harness.Refused(t, words, "migrate", "--config", file, "--data", dir)
		}
	}
	harness.Refused(t, "no such file", "check-config", "--config", filepath.Join(dir, "none.json"))
	if _, err := os.Stat(filepath.Join(dir, "keys")); err == nil {
		t.Error("a command with a refused file has made keys")
	}

	// One file for all commands, each taking what it has; a flag beats the file,
	// and the file beats the variable.
	data := filepath.Join(dir, "data")
	holds(
		`{"data":"` + data + `","target":["all"],"listen":"nowhere","demo":false,"public_url":"https://pay.example.com","store":"sqlite:other.db","jwks":"none"}`,
	)
	harness.Setenv(t, "PAYLINK_LISTEN", "elsewhere")
	harness.Refused(t, `--listen "nowhere"`, "check-config", "--config", file)
	harness.Worked(t, "is valid", "check-config", "--config", file, "--listen", "127.0.0.1:0")
	harness.Worked(t, "schema", "migrate", "--config", file)
	if _, err := os.Stat(filepath.Join(data, "other.db")); err != nil {
		t.Errorf("the file's data folder and store: %v", err)
	}
	harness.Setenv(t, "PAYLINK_CONFIG", file)
	harness.Refused(t, `--listen "nowhere"`, "check-config")
	holds(`{"typo":1}`)
	harness.Refused(t, `unknown setting "typo"`, "check-config")
}

// measures checks that every documented metric exists, including parked webhooks.
func measures(t *testing.T) {
	told, err := os.ReadFile(filepath.Join(harness.ModuleRoot(t), "docs", "operate", "alerts.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, name := range regexp.MustCompile(`\bpaylink_[a-z_]+`).FindAllString(string(told), -1) {
		// Those of a split deployment and of the relay are checked there.
		if !strings.HasPrefix(name, "paylink_rpc_") && !strings.HasPrefix(name, "paylink_relay_") {
			names[strings.TrimSuffix(name, "_count")] = true
		}
	}
	if len(names) < 6 {
		t.Fatalf("alerts.md tells of %v", names)
	}
	post := mailtest.Start(t, mailtest.Options{NoStartTLS: true})
	p := harness.Start(t, "--mail-url", post.URL(), "--mail-from", "pay@shop.example")
	_, key := p.Merchant(t, "ada")
	p.Confirm(t, post)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	defer receiver.Close()
	key.OK("POST", "/api/webhook-endpoints", `{"url":"`+receiver.URL+`","events":["payment.succeeded"]}`)
	if a := key.PayJSON(key.Link(`"amount":"1"`), "attempt-0000000001", "4242424242424242"); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	at := regexp.MustCompile(`"metrics":"http://([^/"]+)/metrics"`).FindStringSubmatch(p.Logs.String())
	if at == nil {
		t.Fatalf("the log does not tell where the metrics are\n%s", p.Logs)
	}
	metrics := "http://" + at[1] + "/metrics"
	await.Until(t, "the parked webhook is counted", func() bool {
		status, body := harness.Get(t, metrics)
		return status == http.StatusOK && strings.Contains(body, "\npaylink_webhook_deliveries_parked 1\n")
	})
	if a := key.As("").Do("POST", harness.TokenPath(t, key.Link(`"amount":"1"`))+"/payments", `{"attempt":"attempt-0000000002","payer":{"email":"ada@example.com"},`+
		`"card":{"number":"4242424242424242","expMonth":12,"expYear":2034,"cvc":"739"}}`); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	await.Until(t, "the receipt is counted", func() bool {
		_, body := harness.Get(t, metrics)
		return strings.Contains(body, "\npaylink_mail_tries_total{kind=\"receipt\",outcome=\"sent\"} 1\n")
	})
	_, body := harness.Get(t, metrics)
	for name := range names {
		if !strings.Contains(body, "# TYPE "+name+" ") {
			t.Errorf("alerts.md tells of %s, which is not there", name)
		}
	}
}

// splitConfigurations checks that check-config reports everything that is wrong at once.
func splitConfigurations(t *testing.T) {
	dir := t.TempDir()
	with := func(flags ...string) []string { return append([]string{"check-config", "--data", dir}, flags...) }
	good := []string{"--target", "transactions", "--store", "postgres://paylink@127.0.0.1/paylink", "--public-url", "https://pay.example",
		"--internal-listen", "127.0.0.1:7000", "--internal-keys", filepath.Join(dir, "s"), "--service",
		"simulator=http://127.0.0.1:7001,http://simulator:7001", "--service", "fraud=http://fraud:7000"}
	harness.Worked(t, "is valid", with(good...)...)
	harness.Worked(t, "is valid", with(append(good, "--service", "users=http://users:7000")...)...)
	for _, words := range []string{"--internal-keys or --internal-tls", "--internal-listen",
		"--service simulator=URL: transactions needs it", "--public-url",
		"--store: on SQLite every service that stores data must run in one process, and users does not run in this one"} {
		harness.Refused(t, words, with("--target", "transactions")...)
	}
	for flag, words := range map[string]string{"--service=simulator=ftp://x": "want http://HOST:PORT",
		"--service=nobody=http://x:1":     "unknown service",
		"--service=simulator=https://x:1": "want http://HOST:PORT", "--demo": "--demo", "--target=transactions,links,links": "given twice",
		"--target=all,links":                   "want all alone",
		"--internal-listen=nowhere":            "--internal-listen",
		"--internal-secret-file=" + dir + "/s": "paylink internal-keys"} {
		harness.Refused(t, words, with(append(good, flag)...)...)
	}
	file := filepath.Join(dir, "split.json")
	if err := os.WriteFile(file, []byte(`{"service":{"simulator":"http://127.0.0.1:7001,http://b:7001","fraud":"http://fraud:7000"},"internal_listen":"127.0.0.1:7000"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Worked(
		t,
		"is valid",
		"check-config",
		"--config",
		file,
		"--data",
		dir,
		"--target",
		"transactions",
		"--store",
		"postgres://paylink@127.0.0.1/paylink",
		"--public-url",
		"https://pay.example",
		"--internal-keys",
		file,
	)
	// Everything that stores data in one process, beside a gateway: SQLite allows that.
	keepers := []string{
		"--target",
		"users,links,verifier,payments,transactions,notifier,fraud,simulator",
		"--public-url",
		"https://pay.example",
		"--internal-listen",
		"127.0.0.1:7000",
		"--internal-keys",
		filepath.Join(dir, "s"),
	}
	harness.Worked(t, "is valid", with(keepers...)...)
	harness.Refused(t, "--internal-tls: the target all", with("--internal-tls", dir)...)
	// A target without a share of the keys cannot start, and creates none.
	if err := os.WriteFile(filepath.Join(dir, "s"), []byte(strings.Repeat("secret", 8)), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Refused(t, "keyring", append([]string{"serve", "--data", dir, "--listen", harness.FreeAddress(t)}, keepers...)...)
	if _, err := os.Stat(filepath.Join(dir, "keys")); !os.IsNotExist(err) {
		t.Errorf("a split process made keys: %v", err)
	}
	harness.Worked(t, "created the keys", "keys", "create", "--data", dir)
	harness.Refused(t, "already has keys", "keys", "create", "--data", dir)
	harness.Refused(t, "needs no keys", "keys", "export", "--data", dir, "--target", "payments", filepath.Join(dir, "p"))
	harness.Worked(
		t,
		"verifier: link-sign (public)\nverifier: link-seal\n",
		"keys",
		"export",
		"--data",
		dir,
		"--target",
		"verifier",
		filepath.Join(dir, "v"),
	)
	harness.Worked(t, "in use in 10m0s", "keys", "rotate", "--data", dir, "--rest", "10m", "link-sign")
	harness.Refused(t, "one service's export", "keys", "rotate", "--keys", filepath.Join(dir, "v"), "link-sign")
}

func restores(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	l := key.Link(`"amount":"12.50","maxUses":2`)
	if a := key.PayJSON(l, "attempt-0000000001", "4242424242424242"); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	id := harness.OnePayment(key, l, "succeeded")
	copied := filepath.Join(t.TempDir(), "backup")
	reader, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	identity := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(identity, []byte(reader.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Worked(t, "copied to", "backup", "--data", p.Data, "--keys-for", reader.Recipient().String(), copied)
	harness.Refused(t, "must not exist yet", "backup", "--data", p.Data, copied)
	harness.Refused(t, "want the public key", "backup", "--data", p.Data, "--keys-for", "nobody", filepath.Join(t.TempDir(), "other"))
	// After the copy: the restored server must not know it.
	key.Link(`"amount":"1"`)
	p.Stop()
	harness.Verified(t, copied)
	harness.Worked(t, "NOT OPENED", "verify", "--data", copied)
	foreign := filepath.Join(t.TempDir(), "keys")
	harness.Worked(t, "created the keys", "keys", "create", "--keys", foreign)
	if out, _, status := harness.Command(t, "verify", "--data", copied, "--keys", foreign); status == 0 || !strings.Contains(out, "BROKEN response under") {
		t.Errorf("foreign keys: %d %s", status, out)
	}
	if out, errs, status := harness.Command(t, "serve", "--data", copied, "--keys", foreign, "--listen", "127.0.0.1:0"); status == 0 ||
		!strings.Contains(out+errs, "was written with key") {
		t.Errorf("started with foreign keys: %d %s%s", status, out, errs)
	}

	// A store that is in use does not start with new keys.
	out, errs, status := harness.Command(t, "serve", "--data", copied, "--listen", "127.0.0.1:0")
	if status == 0 || !strings.Contains(out+errs, "restore the keys") {
		t.Errorf("started without its keys: %d %s%s", status, out, errs)
	}
	if _, err := os.Stat(filepath.Join(copied, "keys", "keys.json")); err == nil {
		t.Error("new keys were made beside a store in use")
	}
	harness.Worked(t, "restored the keys", "keys", "restore", "--data", copied, "--identity", identity, filepath.Join(copied, "keys.age"))
	seen, _, status := harness.Command(t, "activity", "--data", copied)
	if status != 0 || !strings.Contains(seen, `"kind":"api_key.created"`) {
		t.Errorf("the activity: %d %s", status, seen)
	}
	for line := range strings.Lines(seen) {
		if e := harness.Decode[map[string]any](t, line); e["kind"] == nil || e["actor"] == nil || e["createdAt"] == nil {
			t.Errorf("an entry of the activity: %s", line)
		}
	}
	harness.Refused(t, "never overwritten", "keys", "restore", "--data", copied, "--identity", identity, filepath.Join(copied, "keys.age"))
	harness.Worked(t, "opened ", "verify", "--data", copied)
	if err := os.Remove(filepath.Join(copied, "keys.age")); err != nil {
		t.Fatal(err)
	}
	private(t, copied)
	// A restore may leave everything but the keys open to others.
	for _, path := range []string{copied, filepath.Join(copied, "paylink.db"), filepath.Join(copied, "webhooks.db"),
		filepath.Join(copied, "simulator.book")} {
		if err := os.Chmod(path, 0o755); err != nil { // that is the point
			t.Fatal(err)
		}
	}

	restored := harness.StartOn(t, copied, strings.TrimPrefix(p.URL, "http://"))
	if got := harness.OnePayment(key, l, "succeeded"); got != id {
		t.Errorf("payment %s became %s", id, got)
	}
	if n := len(harness.List(t, key.OK("GET", "/api/links", ""), "data")); n != 1 {
		t.Errorf("%d links", n)
	}
	if a := key.PayJSON(l, "attempt-0000000002", "5555555555554444"); a.Status != http.StatusOK {
		t.Errorf("the old link cannot be paid: %d %s", a.Status, a.Body)
	}
	if out := restored.Logs.String(); strings.Contains(out, `"ERROR"`) {
		t.Errorf("%s", out)
	}
	private(t, copied)
}

// private checks that only the owner can read a data folder and every file in it.
func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil // removed meanwhile by the server
		}
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others can read %s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// seals seals the keys of a running installation under a key in a file, then under another one, and
// writes them as a plain file again.
func seals(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	l := key.Link(`"amount":"12.50"`)
	url := strings.TrimPrefix(p.URL, "http://")
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	harness.Worked(t, "without it, the keys that it seals are lost", "keys", "kek", one)
	harness.Worked(t, "other media", "keys", "kek", two)
	harness.Refused(t, "exists", "keys", "kek", one)

	harness.Refused(t, "say under which key", "keys", "seal", "--data", p.Data)
	harness.Worked(t, "sealed the keys", "keys", "seal", "--data", p.Data, "--key-encryption-key", "file:"+one)
	p.Stop()
	file, err := os.ReadFile(filepath.Join(p.Data, "keys", "keys.json"))
	if err != nil || strings.Contains(string(file), "link-sign") {
		t.Errorf("%v %s", err, file)
	}
	harness.Refused(t, "the keys are sealed", "keys", "list", "--data", p.Data)
	harness.Refused(t, "does not open", "keys", "list", "--data", p.Data, "--key-encryption-key", "file:"+two)
	if out, errs, status := harness.Command(t, "serve", "--data", p.Data, "--listen", "127.0.0.1:0"); status == 0 || !strings.Contains(out+errs, "sealed") {
		t.Errorf("started without the key-encryption key: %d %s%s", status, out, errs)
	}

	again := harness.StartOn(t, p.Data, url, "--key-encryption-key", "file:"+one)
	if a := key.PayJSON(l, "attempt-0000000001", "4242424242424242"); a.Status != http.StatusOK {
		t.Errorf("the old link cannot be paid: %d %s", a.Status, a.Body)
	}
	again.Stop()
	harness.Worked(t, "sealed the keys", "keys", "seal", "--data", p.Data, "--from", "file:"+one, "--key-encryption-key", "file:"+two)
	harness.Worked(t, "link-sign", "keys", "rotate", "--data", p.Data, "--key-encryption-key", "file:"+two, "link-sign")
	share := filepath.Join(dir, "verifier")
	harness.Worked(t, "link-seal", "keys", "export", "--data", p.Data, "--key-encryption-key", "file:"+two, "--target", "verifier",
		"--seal-under", "file:"+one, share)
	harness.Worked(t, "are plain now", "keys", "unseal", "--keys", share, "--key-encryption-key", "file:"+one)
	harness.Worked(t, "are plain now", "keys", "unseal", "--data", p.Data, "--key-encryption-key", "file:"+two)
	harness.Worked(t, "keys", "keys", "list", "--data", p.Data)
}

func rotates(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	l := key.Link(`"amount":"12.50"`)
	page := harness.Str(t, l, "url")
	altered := []byte(page)
	at := len(page) - 20
	altered[at] = map[bool]byte{true: 'B', false: 'A'}[altered[at] == 'A']

	harness.Worked(t, "authentic", "link", "verify", "--data", p.Data, page)
	harness.Refused(t, "invalid or was altered", "link", "verify", "--data", p.Data, string(altered))
	harness.Refused(t, "invalid or was altered", "link", "verify", "--data", p.Data, "https://example.com/")
	_, jwks := p.Get(t, "/.well-known/jwks.json")
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(jwks), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Worked(t, "signed by key", "link", "verify", "--data", t.TempDir(), "--jwks", file, page)
	harness.Refused(t, "invalid or was altered", "link", "verify", "--data", t.TempDir(), "--jwks", file, string(altered))

	harness.Worked(t, "link-sign: new key", "keys", "rotate", "--data", p.Data)
	harness.Refused(t, "purpose", "keys", "rotate", "--data", p.Data, "nonsense")
	await.Until(t, "the server publishes the new keys", func() bool {
		_, now := p.Get(t, "/.well-known/jwks.json")
		return now != "" && now != jwks
	})
	if status, body := p.Get(t, harness.TokenPath(t, l)); status != http.StatusOK || !strings.Contains(body, "Pay ada") {
		t.Errorf("after the rotation the old link answers %d", status)
	}
	harness.Worked(t, "authentic", "link", "verify", "--data", p.Data, harness.Str(t, key.Link(`"amount":"1"`), "url"))
	if a := key.PayJSON(l, "attempt-0000000001", "4242424242424242"); a.Status != http.StatusOK {
		t.Errorf("after the rotation the old link cannot be paid: %d %s", a.Status, a.Body)
	}
}

// shares checks that a second process on the same folder either serves the same data or refuses
// to start, and does no harm.
func shares(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	harness.Refused(t, "--listen", "serve", "--data", p.Data, "--listen", strings.TrimPrefix(p.URL, "http://"))
	out, errs, status := harness.Command(t, "serve", "--data", p.Data, "--listen", harness.FreeAddress(t))
	if status == 0 || strings.Contains(errs, "goroutine ") || !strings.Contains(errs, "has it open") {
		t.Errorf("a second server on the same data: %d %s%s", status, out, errs)
	}
	l := key.Link(`"amount":"3"`)
	if a := key.PayJSON(l, "attempt-0000000001", "4242424242424242"); a.Status != http.StatusOK {
		t.Errorf("beside it: %d %s", a.Status, a.Body)
	}
	harness.Worked(t, "schema", "migrate", "--data", p.Data)
	harness.Verified(t, p.Data)
}

// drains checks many payments around the moment of shutdown: each is finished and answered, or
// was never accepted, and what was answered is stored. TestDrainFinishesAPayment checks one that
// is certainly in progress.
func drains(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	const payers = 8
	var links []map[string]any
	for range payers {
		links = append(links, key.Link(`"amount":"7"`))
	}
	type outcome struct{ i, status int }
	answers := make(chan outcome, payers)
	body := `{"attempt":"attempt-0000000001","card":{"number":"4242424242424242","expMonth":12,"expYear":2034,"cvc":"7391"}}`
	for i, l := range links {
		go func() { answers <- outcome{i, postQuietly(t, p.URL+harness.TokenPath(t, l)+"/payments", body)} }()
	}
	first := <-answers
	p.Signal(syscall.SIGTERM)
	paid := map[int]bool{first.i: first.status == http.StatusOK}
	for range payers - 1 {
		a := <-answers
		if a.status != 0 && a.status != http.StatusOK {
			t.Errorf("a payment under way was answered %d", a.status)
		}
		paid[a.i] = a.status == http.StatusOK
	}
	<-p.Done
	if p.Err != nil || !strings.Contains(p.Logs.String(), "finishing requests in progress") {
		t.Errorf("after SIGTERM: %v\n%s", p.Err, p.Logs)
	}
	harness.StartOn(t, p.Data, strings.TrimPrefix(p.URL, "http://"))
	for i, l := range links {
		if paid[i] {
			harness.OnePayment(key, l, "succeeded")
		}
	}
	harness.Verified(t, p.Data)
}

func postQuietly(t *testing.T, url, body string) int {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return -1
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
