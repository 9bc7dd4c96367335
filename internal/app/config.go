// Package app assembles the services. It is the only place that knows the configuration, what
// each service needs, and the order in which things start and stop.
package app

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fraud/shield"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/keyring/kek"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/postgres"
	"github.com/paylink/paylink/internal/progress"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/store/dynamo"
)

// Limits of a process.
const (
	DrainTimeout      = 30 * time.Second // for running requests at shutdown
	keyReloadInterval = 10 * time.Second
	credentialsReload = 5 * time.Second
	gcPercent         = 300         // the live heap is small: trade memory for time, unless GOGC says otherwise
	restartPause      = time.Second // before a failed background job restarts
)

// Config is the configuration of a process, from flags, environment or file.
type Config struct {
	Targets              []string
	DataDir              string
	KeysDir              string // empty: DataDir/keys
	KEK                  string // setting of kek.Parse: what the key ring is sealed under; empty: nothing
	Listen               string
	AdminListen          string
	PublicURL            string
	HSTS                 time.Duration // how long browsers must use https only, if the public URL is https; 0: no header
	AllowedHosts         []string      // hosts that requests may name besides the public URL's; *: any
	Store                string
	PaymentsStore        string
	InternalListen       string              // where a split process serves its services
	InternalKeys         string              // between services: file with the keys of this process's pairs
	InternalTLS          string              // between services: certificate folder
	InternalSecretFile   string              // between services, as in earlier versions: refused
	Services             map[string][]string // name to the URLs of its instances
	Demo                 bool
	AllowPrivateWebhooks bool
	AllowDumps           bool          // other processes may read this one's memory; core dumps stay possible
	SignUp               string        // open, invitation or closed; empty means open
	Limits               []string      // settings of the gateway's limits, NAME=COUNT/PERIOD,BURST or NAME=off
	LimitStore           string        // redis://…: gateways share their counters
	TrustedProxies       []string      // networks whose X-Forwarded-For is trusted
	CountryHeader        string        // header in which they send the country of the payer's address; empty: none
	FraudOff             bool          // payment attempts are not assessed
	FraudBudget          time.Duration // for one assessment; then the account's policy decides
	Shield               []string      // settings of the shield against card testing, NAME=NUMBER or off
	LogLevel             string
	MailURL              string      // the mail server; empty: no email is sent
	MailFrom             string      // the sender
	MailLimits           []string    // of mails to payers, NAME=COUNT
	MailTLS              *tls.Config // nil: the system's authorities; set by tests
	Lake                 string      // folder or s3://BUCKET/PREFIX for files that other engines read; empty: none
	LakeAge              time.Duration
	Progress             progress.To // of long-running commands
}

// Check returns every problem of the configuration, sorted, or none if the process can start. It
// opens no store and listens on nothing.
func (c Config) Check() []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }

	c.checkData(say)
	c.checkAddresses(say)
	if _, err := c.storeURL(); err != nil {
		say("%v", err)
	}
	if c.PaymentsStore != "" {
		if _, _, err := dynamo.Parse(c.PaymentsStore); err != nil {
			say("--payments-store %q: %v", scheme(c.PaymentsStore), err)
		}
	}

	c.checkLimits(say)
	c.checkFraud(say)
	if _, err := shield.Parse(c.Shield); err != nil {
		say("--shield %v", err)
	}
	if _, err := c.level(); err != nil {
		say("--log-level %q: want debug, info, warn or error", c.LogLevel)
	}

	c.checkSignUp(say)
	c.checkTargets(say)
	c.checkMail(say)
	c.checkLake(say)

	if len(c.PublicURL) > link.MaxPublicURLBytes {
		say("--public-url: at most %d characters, so that the QR code of every link can hold it", link.MaxPublicURLBytes)
	}
	slices.Sort(wrong)
	return wrong
}

// checkTargets validates what a split process needs, and refuses settings without effect in a
// single one.
func (c Config) checkTargets(say func(format string, args ...any)) {
	if !c.split() {
		for flag, given := range map[string]bool{"--internal-listen": c.InternalListen != "",
			"--internal-keys": c.InternalKeys != "", "--internal-secret-file": c.InternalSecretFile != "",
			"--internal-tls": c.InternalTLS != "", "--service": len(c.Services) > 0} {
			if given {
				say("%s: the target all runs every service in one process and calls no other", flag)
			}
		}
		return
	}

	if len(c.Targets) == 0 {
		say("--target: want all, or some of %s", targetNames())
	}
	// Each target once, and none with all.
	for i, t := range c.Targets {
		if _, ok := targetSpecs[t]; !ok {
			say("--target %q: want all alone, or some of %s", t, targetNames())
		} else if slices.Contains(c.Targets[:i], t) {
			say("--target %q: given twice", t)
		}
	}

	// What lies between services: credentials, a listener, and the addresses of the others.
	switch {
	case c.InternalSecretFile != "":
		say("--internal-secret-file: one secret for all services is not accepted anymore; " +
			"create a key for each pair of services with paylink internal-keys, and use --internal-keys")
	case c.InternalKeys == "" && c.InternalTLS == "":
		say("--internal-keys or --internal-tls: services must authenticate to each other")
	}
	if c.InternalListen == "" && c.servesInternally() {
		say("--internal-listen: required, the address on which this process serves its services")
	}

	// Each service that is called needs an address, and each address a service.
	for _, name := range c.calls() {
		if len(c.Services[name]) == 0 {
			say("--service %s=URL: %s needs it, and it does not run in this process", name, strings.Join(c.Targets, ", "))
		}
	}

	for name, urls := range c.Services {
		if _, ok := targetSpecs[name]; !ok || name == "gateway" {
			say("--service %s: unknown service", name)
		}
		for _, raw := range urls {
			if _, err := rpc.ParseURL(raw, c.InternalTLS != ""); err != nil {
				say("--service %s: %v", name, err)
			}
		}
	}

	if c.PublicURL == "" && c.any(func(b targetSpec) bool { return b.public }) {
		say("--public-url: every process of a split deployment must know the same one")
	}
	if c.Demo {
		say("--demo: only the target all creates a demo account")
	}

	// A SQLite file belongs to one process: two processes with the same file would not see each
	// other's commits reliably. So every service that stores data runs in that process.
	if !postgres.Is(c.Store) && c.needsSQL() {
		for t, b := range targetSpecs {
			if (b.sql || (b.payments && c.PaymentsStore == "")) && !c.runs(t) {
				say("--store: on SQLite every service that stores data must run in one process, and %s does not run in this one; use postgres://…", t)
			}
		}
	}
}

// storeURL returns the URL of the store: postgres://…, or sqlite: and a path, by default in the
// data folder.
func (c Config) storeURL() (string, error) {
	if postgres.Is(c.Store) {
		_, err := postgres.Parse(c.Store)
		if err != nil {
			err = fmt.Errorf("--store %q: %w", scheme(c.Store), err)
		}
		return c.Store, err
	}

	// A file: relative paths are in the data folder.
	path, ok := strings.CutPrefix(c.Store, "sqlite:")
	switch {
	case c.Store == "":
		path = "paylink.db"
	case !ok || path == "":
		return "", fmt.Errorf("--store %q: want sqlite:PATH or postgres://…", scheme(c.Store))
	}

	if !filepath.IsAbs(path) {
		path = filepath.Join(c.DataDir, path)
	}
	return "sqlite:" + path, nil
}

// queueURL returns the URL of the webhook queue: the same database, or a file beside the embedded
// store.
func (c Config) queueURL() string {
	if postgres.Is(c.Store) {
		return c.Store
	}
	return "sqlite:" + c.queuePath()
}

// storeName returns the store's name for messages, without a password: a path, or the host and name
// of a database.
func (c Config) storeName() string {
	url, err := c.storeURL()
	if err != nil {
		return scheme(c.Store)
	}
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return path
	}

	config, err := postgres.Parse(url)
	if err != nil {
		return scheme(url)
	}
	return postgres.Name(config)
}

// scheme returns the beginning of a store's URL, to keep a password out of messages.
func scheme(store string) string {
	s, _, _ := strings.Cut(store, ":")
	return s + ":…"
}

// keysDir returns the folder of the key ring.
func (c Config) keysDir() string {
	if c.KeysDir != "" {
		return c.KeysDir
	}
	return filepath.Join(c.DataDir, "keys")
}

// keys returns the folder of the key ring with its key-encryption key.
func (c Config) keys() (keyring.Folder, error) {
	k, err := kekOf(c.KEK)
	if err != nil {
		return keyring.Folder{}, fmt.Errorf("--key-encryption-key %w", err)
	}
	return keyring.Folder{Path: c.keysDir(), KEK: k}, nil
}

// kekOf returns the key-encryption key that a setting names; nil for an empty one.
func kekOf(setting string) (keyring.Wrapper, error) {
	return kek.Parse(setting, os.Getenv(kek.Credentials))
}

// queuePath returns the file of the webhook queue beside a SQLite store, and bookPath that of the
// simulator's book.
func (c Config) queuePath() string { return filepath.Join(c.DataDir, "webhooks.db") }
func (c Config) bookPath() string  { return filepath.Join(c.DataDir, "simulator.book") }

// level returns the log level; empty means info.
func (c Config) level() (slog.Level, error) {
	var l slog.Level
	if c.LogLevel == "" {
		return slog.LevelInfo, nil
	}
	err := l.UnmarshalText([]byte(c.LogLevel))
	return l, err
}
