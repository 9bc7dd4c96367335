package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/paylink/paylink/internal/postgres"
	"github.com/paylink/paylink/internal/site"
)

// publicSite returns the public address for payers, or the zero Site if no public URL is
// configured.
func (c Config) publicSite() (site.Site, error) {
	if c.PublicURL == "" {
		return site.Site{}, nil
	}
	s, err := site.Parse(c.PublicURL)
	if err != nil {
		return site.Site{}, fmt.Errorf("--public-url: %w", err)
	}
	return s, nil
}

// maxHSTS limits how long browsers remember to use https.
const maxHSTS = 2 * 365 * 24 * time.Hour

// hsts returns how long browsers must use https only, or 0 if the public URL is not https.
func (c Config) hsts() time.Duration {
	if s, err := c.publicSite(); err != nil || !s.Secure() {
		return 0
	}
	return c.HSTS
}

// listening is an address on which the process listens, and the flag that sets it.
type listening struct{ flag, address string }

// listening returns the addresses that this process opens, in the order in which conflicts are
// reported.
func (c Config) listening() (all []listening) {
	if c.runs("gateway") {
		all = append(all, listening{"--listen", c.Listen})
	}
	all = append(all, listening{"--admin-listen", c.AdminListen})
	if c.InternalListen != "" {
		all = append(all, listening{"--internal-listen", c.InternalListen})
	}
	return all
}

// checkAddresses validates the addresses on which the process listens and the public address. Two
// listeners must not share a port, unless it is 0, which lets the system choose.
func (c Config) checkAddresses(say func(format string, args ...any)) {
	public, err := c.publicSite()
	if err != nil {
		say("%v", err)
	}
	if _, err := public.Names(c.Listen, c.AllowedHosts); err != nil {
		say("--allowed-hosts %v", err)
	}
	if c.HSTS < 0 || c.HSTS > maxHSTS || c.HSTS%time.Second != 0 {
		say("--hsts %s: want whole seconds up to %s, or 0 for none", c.HSTS, maxHSTS)
	}

	// Each address must be well formed, and differ from those before it.
	all := c.listening()
	for i, l := range all {
		host, port, err := net.SplitHostPort(l.address)
		if err != nil {
			say("%s %q: want HOST:PORT, such as 127.0.0.1:8080", l.flag, l.address)
			continue
		}
		if _, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", port); err != nil || port == "" {
			say("%s %q: want a port from 1 to 65535, or 0 for a free one", l.flag, l.address)
			continue
		}
		for _, other := range all[:i] {
			otherHost, otherPort, err := net.SplitHostPort(other.address)
			same := host == otherHost || site.Everywhere(l.address) || site.Everywhere(other.address)
			if err == nil && port != "0" && port == otherPort && same {
				say("%s %q: %s already has this address; give each listener its own port", l.flag, l.address, other.flag)
			}
		}
	}

	// A listener on every address has none that could be part of a link.
	if !c.split() && c.PublicURL == "" && site.Everywhere(c.Listen) {
		say(
			"--public-url: --listen %q accepts connections on every address of this machine, and links need a public URL, such as https://pay.example.com",
			c.Listen,
		)
	}
}

// cannotListen returns the error for a listener that could not be opened, with the way out.
func cannotListen(flag, address string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "; another process has this address: stop it, or choose another port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "; this machine does not have that address"
	case errors.Is(err, syscall.EACCES):
		hint = "; ports below 1024 need privileges: choose a higher port behind a proxy"
	}
	return fmt.Errorf("%s %q: %w%s", flag, address, err, hint)
}

// checkData refuses data paths that would be interpreted as something else, and a store that is one
// of our other files.
func (c Config) checkData(say func(format string, args ...any)) {
	if c.DataDir == "" {
		say("--data: want a folder")
	}
	if strings.ContainsAny(c.DataDir, "?#%") {
		say("--data %q: the path must not contain ?, # or %%, which SQLite interprets", c.DataDir)
	}
	for flag, folder := range map[string]string{"--data": c.DataDir, "--keys": c.KeysDir, "--lake": c.Lake} {
		if info, err := os.Stat(folder); err == nil && !info.IsDir() {
			say("%s %q: this is a file; want a folder", flag, folder)
		}
	}

	if _, err := c.keys(); err != nil {
		say("%v", err)
	}

	// The rest is about a store in a file.
	name, embedded := strings.CutPrefix(c.Store, "sqlite:")
	if !embedded {
		return
	}
	if strings.ContainsAny(name, "?#%") {
		say("--store %q: the path must not contain ?, # or %%, which SQLite interprets", c.Store)
	}

	path, err := c.storeURL()
	for _, taken := range []string{c.queuePath(), c.reportsPath(), c.analyticsPath(), c.bookPath()} {
		if err == nil && path == "sqlite:"+taken {
			say("--store %q: paylink uses that file for other data; choose another name, such as sqlite:paylink.db", c.Store)
		}
	}
}

// writeData creates the data folder and checks that files can be created in it, so that a folder of
// another user is named in the error before anything starts. It lets only the owner into the folder.
// The folder of a mounted volume may belong to another user: then others must not be able to replace
// our files, which only we can read. Processes that store nothing there do not need it.
func (c Config) writeData() error {
	if c.split() && !c.runs("simulator") && (postgres.Is(c.Store) || !c.needsSQL()) {
		return nil
	}

	err := os.MkdirAll(c.DataDir, 0o700)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(c.DataDir, ".writable-"); err == nil {
			err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
	}

	if err != nil {
		return fmt.Errorf("--data %q: the server must be able to create files there: %w", c.DataDir, err)
	}

	info, err := os.Stat(c.DataDir)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	if err := os.Chmod(c.DataDir, 0o700); err != nil && info.Mode().Perm()&0o002 != 0 { //nolint:gosec // a folder needs its x bit
		return fmt.Errorf("--data %q: other users can replace files there; make this user its owner, or chmod o-w: %w", c.DataDir, err)
	}
	return nil
}
