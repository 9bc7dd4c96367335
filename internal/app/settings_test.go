package app

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// whole returns a configuration of one process with the flags' defaults.
func whole(dir string) Config {
	return Config{
		Targets:     []string{"all"},
		DataDir:     dir,
		Listen:      "127.0.0.1:8080",
		AdminListen: "127.0.0.1:0",
		PublicURL:   "https://pay.example",
		SignUp:      "open",
		LakeAge:     time.Minute,
		FraudBudget: 25 * time.Millisecond,
		LogLevel:    "info",
	}
}

// TestSettingsThatWouldDoHarm checks that values that would start and lead payers nowhere, lose
// data or open a security hole are reported with their flag, their rule and a way out, by
// check-config and serve alike.
func TestSettingsThatWouldDoHarm(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		words string
		set   func(*Config)
	}{
		{"--public-url: must not contain a user name or password", func(c *Config) { c.PublicURL = "https://user:hunter2@pay.example" }},
		{`--public-url: "https://pay.example:99999": the port is 99999: want 1 to 65535`, func(c *Config) { c.PublicURL = "https://pay.example:99999" }},
		{"want 1 to 65535", func(c *Config) { c.PublicURL = "https://pay.example:0" }},
		{"use https://pay.example/b", func(c *Config) { c.PublicURL = "https://pay.example/a/../b/" }},
		{"use https://pay.example/b", func(c *Config) { c.PublicURL = "https://pay.example//b" }},
		{"must not contain ? or #", func(c *Config) { c.PublicURL = "https://pay.example?a=b" }},
		{"want https://HOST", func(c *Config) { c.PublicURL = "pay.example" }},
		{"cannot be reached", func(c *Config) { c.PublicURL = "http://0.0.0.0:8080" }},
		{`--public-url: --listen ":8133" accepts connections on every address`, func(c *Config) { c.Listen, c.PublicURL = ":8133", "" }},
		{"such as https://pay.example.com", func(c *Config) { c.Listen, c.PublicURL = "0.0.0.0:8133", "" }},
		{"links need a public URL", func(c *Config) { c.Listen, c.PublicURL = "[::]:8133", "" }},
		{`--listen "8080": want HOST:PORT, such as 127.0.0.1:8080`, func(c *Config) { c.Listen = "8080" }},
		{`--listen "127.0.0.1:99999": want a port from 1 to 65535`, func(c *Config) { c.Listen = "127.0.0.1:99999" }},
		{`--listen "127.0.0.1:": want a port`, func(c *Config) { c.Listen = "127.0.0.1:" }},
		{`--admin-listen "127.0.0.1:8080": --listen already has this address`, func(c *Config) { c.AdminListen = "127.0.0.1:8080" }},
		{`--admin-listen ":8080": --listen already has this address`, func(c *Config) { c.AdminListen = ":8080" }},
		{"--internal-listen: the target all", func(c *Config) { c.InternalListen = "127.0.0.1:8081" }},
		{"--internal-keys: the target all", func(c *Config) { c.InternalKeys = "s" }},
		{"--internal-secret-file: the target all", func(c *Config) { c.InternalSecretFile = "s" }},
		{"--internal-tls: the target all", func(c *Config) { c.InternalTLS = "s" }},
		{"--service: the target all", func(c *Config) { c.Services = map[string][]string{"users": {"http://a:1"}} }},
		{`--data: want a folder`, func(c *Config) { c.DataDir = "" }},
		{`this is a file; want a folder`, func(c *Config) { c.DataDir = file }},
		{`--keys "` + file + `": this is a file`, func(c *Config) { c.KeysDir = file }},
		{"which SQLite interprets", func(c *Config) { c.DataDir = filepath.Join(dir, "50%") }},
		{"which SQLite interprets", func(c *Config) { c.Store = "sqlite:pay.db?mode=memory" }},
		{"paylink uses that file for other data", func(c *Config) { c.Store = "sqlite:webhooks.db" }},
		{"paylink uses that file for other data", func(c *Config) { c.Store = "sqlite:" + filepath.Join(dir, "reports.db") }},
		{"want sqlite:PATH or postgres://…", func(c *Config) { c.Store = "paylink.db" }},
		{"want sqlite:PATH or postgres://…", func(c *Config) { c.Store = "mysql://root:hunter2@db/paylink" }},
		{`--store "postgres:…"`, func(c *Config) { c.Store = "postgres://u:hunter2@db:99999/paylink" }},
		{"must be dynamodb://TABLE", func(c *Config) { c.PaymentsStore = "dynamodb://x" }},
		{`unknown parameter "regoin"`, func(c *Config) { c.PaymentsStore = "dynamodb://paylink?regoin=eu-central-1" }},
		{`--sign-up "invitations": want open, invitation or closed`, func(c *Config) { c.SignUp = "invitations" }},
		{"want debug, info, warn or error", func(c *Config) { c.LogLevel = "verbose" }},
		{"--fraud-budget 0s: want 1ms to 1s", func(c *Config) { c.FraudBudget = 0 }},
		{"--fraud-budget -25ms: want 1ms to 1s", func(c *Config) { c.FraudBudget = -25 * time.Millisecond }},
		{"--lake-age -1s: want 1s to 1h0m0s", func(c *Config) { c.Lake, c.LakeAge = dir, -time.Second }},
		{"--lake-age 2h0m0s: want 1s to 1h0m0s", func(c *Config) { c.Lake, c.LakeAge = dir, 2*time.Hour }},
		{"--lake: want a folder, or s3://BUCKET/PREFIX", func(c *Config) { c.Lake = "gs://bucket" }},
		{`--lake "` + file + `": this is a file`, func(c *Config) { c.Lake = file }},
		{"--limit \"pay=0/m\"", func(c *Config) { c.Limits = []string{"pay=0/m"} }},
		{"names are address, sign-in", func(c *Config) { c.Limits = []string{"payy=1/m"} }},
		{"a burst must be 1 to", func(c *Config) { c.Limits = []string{"pay=1/m,0"} }},
		{"want redis://HOST:PORT/DATABASE", func(c *Config) { c.LimitStore = "http://redis:hunter2@redis" }},
		{"write 10.0.0.7/32 for this one address", func(c *Config) { c.TrustedProxies = []string{"10.0.0.7"} }},
		{"want a network, such as 10.0.0.0/8", func(c *Config) { c.TrustedProxies = []string{"proxy.internal"} }},
		{"trusts every client's claim", func(c *Config) { c.TrustedProxies = []string{"0.0.0.0/0"} }},
		{"trusts every client's claim", func(c *Config) { c.TrustedProxies = []string{"10.0.0.0/8", "::/0"} }},
		{"write the network in IPv4", func(c *Config) { c.TrustedProxies = []string{"::ffff:10.0.0.0/104"} }},
		{`--allowed-hosts "pay.internal:80": want a host without a port`, func(c *Config) { c.AllowedHosts = []string{"pay.internal:80"} }},
		{`--allowed-hosts "https://pay.internal": want a host`, func(c *Config) { c.AllowedHosts = []string{"https://pay.internal"} }},
		{"--hsts -1s: want whole seconds up to", func(c *Config) { c.HSTS = -time.Second }},
		{"--hsts 1.5s: want whole seconds up to", func(c *Config) { c.HSTS = 1500 * time.Millisecond }},
		{"--hsts 17521h0m0s: want whole seconds up to 17520h0m0s, or 0 for none", func(c *Config) { c.HSTS = 17521 * time.Hour }},
		{"--trusted-proxies is empty", func(c *Config) { c.CountryHeader = "CF-IPCountry" }},
		{"want the name of a header", func(c *Config) { c.CountryHeader, c.TrustedProxies = "CF IPCountry", []string{"10.0.0.0/8"} }},
		{"this header has another purpose", func(c *Config) { c.CountryHeader, c.TrustedProxies = "authorization", []string{"10.0.0.0/8"} }},
		{"--shield", func(c *Config) { c.Shield = []string{"declines=-1"} }},
		{"--mail-from: the sender of emails is required", func(c *Config) { c.MailURL = "smtp://mail.example" }},
		{"--mail-url: required with --mail-from", func(c *Config) { c.MailFrom = "pay@shop.example" }},
		{"--mail-url: want a port from 1 to 65535", func(c *Config) {
			c.MailURL, c.MailFrom = "smtp://u:hunter2@mail.example:99999",
				"pay@shop.example"
		}},
		{"omit ?tls=off", func(c *Config) { c.MailURL, c.MailFrom = "smtp://u:hunter2@mail.example?tls=off", "pay@shop.example" }},
		{`--mail-from "shop"`, func(c *Config) { c.MailURL, c.MailFrom = "smtp://mail.example", "shop" }},
		{"--service users: \"http://users:0\": want a port", func(c *Config) {
			c.Targets, c.Services = []string{"gateway"}, map[string][]string{"users": {"http://users:0"}}
		}},
		{"--service users: \"http://users\": want http://HOST:PORT", func(c *Config) {
			c.Targets, c.Services = []string{"gateway"}, map[string][]string{"users": {"http://users"}}
		}},
		{"want http://HOST:PORT", func(c *Config) {
			c.Targets, c.Services = []string{"gateway"}, map[string][]string{"users": {"http://u:hunter2@users:1"}}
		}},
		{`--target "gatway"`, func(c *Config) { c.Targets = []string{"gatway"} }},
	} {
		config := whole(dir)
		c.set(&config)
		wrong := strings.Join(config.Check(), "\n")
		if !strings.Contains(wrong, c.words) || strings.Contains(wrong, "hunter2") {
			t.Errorf("want %q, got %q", c.words, wrong)
		}
		if err := Serve(t.Context(), config, io.Discard, io.Discard); err == nil || err.Error() != wrong {
			t.Errorf("serve says %v, check-config %q", err, wrong)
		}
	}
	for what, set := range map[string]func(*Config){
		"the defaults":       func(*Config) {},
		"without public URL": func(c *Config) { c.PublicURL = "" },
		"upper case":         func(c *Config) { c.PublicURL = "HTTPS://PAY.EXAMPLE/" },
		"more hosts": func(c *Config) {
			c.AllowedHosts = []string{"pay.internal", "10.0.0.7", "zahlen.müller.example", "2001:db8::1", "*"}
		},
		"another script": func(c *Config) { c.PublicURL = "https://zahlen.müller.example" },
		"behind a proxy": func(c *Config) {
			c.Listen, c.TrustedProxies, c.CountryHeader = ":8080", []string{"10.0.0.0/8", "fd00::/8"}, "CF-IPCountry"
		},
	} {
		config := whole(dir)
		set(&config)
		if wrong := config.Check(); len(wrong) > 0 {
			t.Errorf("%s: %q", what, wrong)
		}
	}
}

// TestProxyThatIsNotNamed checks that check-config and serve warn about a proxy on this machine
// that must exist and is not named.
func TestProxyThatIsNotNamed(t *testing.T) {
	for what, c := range map[string]struct {
		warned bool
		set    func(*Config)
	}{
		"https, loopback":          {true, func(*Config) {}},
		"IPv6":                     {true, func(c *Config) { c.Listen = "[::1]:8080" }},
		"by name":                  {true, func(c *Config) { c.Listen = "localhost:8080" }},
		"a gateway alone":          {true, func(c *Config) { c.Targets = []string{"gateway"} }},
		"named":                    {false, func(c *Config) { c.TrustedProxies = []string{"127.0.0.0/8"} }},
		"reached from outside":     {false, func(c *Config) { c.Listen = ":8080" }},
		"http":                     {false, func(c *Config) { c.PublicURL = "http://127.0.0.1:8080" }},
		"no public URL":            {false, func(c *Config) { c.PublicURL = "" }},
		"a service without public": {false, func(c *Config) { c.Targets = []string{"links"} }},
	} {
		config := whole(t.TempDir())
		c.set(&config)
		warnings := config.Warnings()
		if (len(warnings) == 1 && strings.Contains(warnings[0], "--trusted-proxies")) != c.warned || len(warnings) > 1 {
			t.Errorf("%s: %q", what, warnings)
		}
	}
}

// TestHSTSNeedsHTTPS checks that browsers must use https only where payers do.
func TestHSTSNeedsHTTPS(t *testing.T) {
	for public, want := range map[string]time.Duration{"https://pay.example": time.Hour, "HTTPS://pay.example:8443/pay": time.Hour,
		"http://pay.example": 0, "": 0} {
		if got := (Config{PublicURL: public, HSTS: time.Hour}).hsts(); got != want {
			t.Errorf("%q: %s, want %s", public, got, want)
		}
	}
}

// TestAPortInUseIsNamed checks that the error for a listener that cannot be opened names its
// flag.
func TestAPortInUseIsNamed(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	config := whole(t.TempDir())
	config.Listen = taken.Addr().String()
	err = Serve(t.Context(), config, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `--listen "`+config.Listen+`": `) ||
		!strings.Contains(err.Error(), "another process has this address: stop it, or choose another port") {
		t.Errorf("%v", err)
	}
}

// TestADataFolderThatCannotBeWrittenIsNamed checks the same for the data folder.
func TestADataFolderThatCannotBeWrittenIsNamed(t *testing.T) {
	config := whole("/dev/null/data") // not even root can create it
	config.Listen = "127.0.0.1:0"
	err := Serve(t.Context(), config, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `--data "/dev/null/data": the server must be able to create files there`) {
		t.Errorf("%v", err)
	}
}
