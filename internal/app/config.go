// Package app puts the boxes together: it is the only place that knows the
// configuration, which box needs what, and in which order things start and stop.
package app

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/store/postgres"
)

// Bounds of a process.
const (
	DrainTimeout      = 30 * time.Second // for requests under way when asked to stop
	keyReloadInterval = 10 * time.Second
	gcPercent         = 300         // the live heap is small: trade some memory for time, unless GOGC says otherwise
	restartPause      = time.Second // before a failed background job starts again
)

// Config of a process, as given by flags, environment or file.
type Config struct {
	Targets              []string
	DataDir              string
	Listen               string
	AdminListen          string
	PublicURL            string
	Store                string
	PaymentsStore        string
	Demo                 bool
	AllowPrivateWebhooks bool
	LogLevel             string
}

// targets that this version runs: one process with every box inside.
var targets = []string{"all"}

// Check names everything that is wrong with the configuration.
func (c Config) Check() []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, t := range c.Targets {
		if !slices.Contains(targets, t) {
			say("--target %q: this version runs the target %s", t, strings.Join(targets, ", "))
		}
	}
	if c.DataDir == "" {
		say("--data: a folder is needed")
	}
	for flag, address := range map[string]string{"--listen": c.Listen, "--admin-listen": c.AdminListen} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			say("%s %q: want HOST:PORT", flag, address)
		}
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			say("--public-url %q: want http(s)://HOST without query or fragment", c.PublicURL)
		}
	}
	if _, err := c.storeURL(); err != nil {
		say("%v", err)
	}
	if c.PaymentsStore != "" {
		say("--payments-store %q: this version keeps payments in --store", scheme(c.PaymentsStore))
	}
	if _, err := c.level(); err != nil {
		say("--log-level %q: want debug, info, warn or error", c.LogLevel)
	}
	slices.Sort(wrong)
	return wrong
}

// storeURL is where everything is kept: postgres://…, or sqlite: and the path of
// a file, by default in the data folder.
func (c Config) storeURL() (string, error) {
	if postgres.Is(c.Store) {
		_, err := postgres.Parse(c.Store)
		if err != nil {
			err = fmt.Errorf("--store %q: %w", scheme(c.Store), err)
		}
		return c.Store, err
	}
	path, ok := strings.CutPrefix(c.Store, "sqlite:")
	switch {
	case c.Store == "":
		path = "paylink.db"
	case !ok || path == "":
		return "", fmt.Errorf("--store %q: this version knows sqlite:PATH and postgres://…", scheme(c.Store))
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.DataDir, path)
	}
	return "sqlite:" + path, nil
}

// queueURL is where the webhooks wait: in the same database, or in a file of their
// own beside the embedded store.
func (c Config) queueURL() string {
	if postgres.Is(c.Store) {
		return c.Store
	}
	return "sqlite:" + c.queuePath()
}

// storeName is how messages call the store, without a password.
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

// scheme keeps a password in a store's URL out of messages.
func scheme(store string) string {
	s, _, _ := strings.Cut(store, ":")
	return s + ":…"
}

// The files of a data folder.
func (c Config) keysDir() string   { return filepath.Join(c.DataDir, "keys") }
func (c Config) queuePath() string { return filepath.Join(c.DataDir, "webhooks.db") }
func (c Config) bookPath() string  { return filepath.Join(c.DataDir, "simulator.book") }

func (c Config) level() (slog.Level, error) {
	var l slog.Level
	if c.LogLevel == "" {
		return slog.LevelInfo, nil
	}
	err := l.UnmarshalText([]byte(c.LogLevel))
	return l, err
}
