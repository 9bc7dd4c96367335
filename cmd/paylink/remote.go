package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/paylink/paylink/client"
)

// Exit statuses of the commands that call a server; docs/cli.md tells of them.
const (
	exitFailed      = 1 // of this side: wrong usage, a file, an answer that is none
	exitCredentials = 3 // none, or refused
	exitNotFound    = 4
	exitRefused     = 5 // the server will not do it: invalid, declined, or the state forbids it
	exitUnreachable = 6 // no answer, or "not now": the same command may work later
)

// remote are the flags of every command that calls a server.
type remote struct {
	URL     string `help:"The server; that of the profile by default." placeholder:"URL"`
	APIKey  string `help:"API key: its secret, or ID:SECRET; that of the profile by default." name:"api-key" placeholder:"KEY"`
	Profile string `help:"Which profile of the file that paylink login writes." default:"default"`
	JSON    bool   `help:"Print JSON, one object a line." name:"json"`
}

// remoteCommand is a command that calls a server. Its settings are no settings of
// the server's configuration file.
type remoteCommand interface {
	flags() remote
	call(context.Context, *console) error
}

func (r remote) flags() remote { return r }

// isRemote reports whether a node of the command line calls a server, or only
// groups such commands.
func isRemote(n *kong.Node) bool {
	if !n.Target.IsValid() || !n.Target.CanAddr() {
		return false
	}
	_, ok := n.Target.Addr().Interface().(remoteCommand)
	return ok
}

// console is where such a command works: the server, and what it prints on.
type console struct {
	*client.Client
	url       string
	json      bool
	out, errs io.Writer
}

// runRemote runs the command and gives the exit status.
func runRemote(ctx context.Context, command remoteCommand, out, errs io.Writer) int {
	flags := command.flags()
	if err := flags.complete(); err != nil {
		return fail(errs, err)
	}
	c, err := client.New(flags.URL, flags.credentials(), client.WithUserAgent("paylink-cli/"+version))
	if err != nil {
		return fail(errs, err)
	}
	_, signsIn := command.(*login)
	if flags.APIKey == "" && !signsIn {
		_ = fail(errs, errors.New("no credentials: run paylink login, or set PAYLINK_API_KEY"))
		return exitCredentials
	}
	err = command.call(ctx, &console{Client: c, url: flags.URL, json: flags.JSON, out: out, errs: errs})
	if err == nil || (ctx.Err() != nil && errors.Is(err, context.Canceled)) { // asked to stop: that is its end
		return 0
	}
	_ = fail(errs, err)
	return exitStatus(err)
}

func exitStatus(err error) int {
	var e *client.Error
	if !errors.As(err, &e) {
		var op interface{ Timeout() bool }
		if errors.As(err, &op) { // the network's
			return exitUnreachable
		}
		return exitFailed
	}
	switch {
	case e.Code == "answer_invalid":
		return exitFailed
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		return exitCredentials
	case e.Status == http.StatusNotFound:
		return exitNotFound
	case e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError:
		return exitUnreachable
	}
	return exitRefused
}

// print shows an object: as JSON, or by what a person wants to know.
func (c *console) print(object any, text string, args ...any) error {
	if c.json {
		raw, err := json.Marshal(object)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "%s\n", raw)
		return err
	}
	_, err := fmt.Fprintf(c.out, text+"\n", args...)
	return err
}

// say tells a person something beside the output.
func (c *console) say(text string, args ...any) {
	_, _ = fmt.Fprintf(c.errs, text+"\n", args...) // nobody reads: nothing to do about it
}

// table prints rows under a header; with --json the objects instead.
type table struct {
	c *console
	w *tabwriter.Writer
}

func (c *console) table(columns ...string) *table {
	t := &table{c: c, w: tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)}
	if !c.json {
		_, _ = fmt.Fprintln(t.w, strings.Join(columns, "\t")) // Flush tells of an error
	}
	return t
}

func (t *table) row(object any, cells ...string) error {
	if t.c.json {
		return t.c.print(object, "")
	}
	for i, cell := range cells {
		cells[i] = printable(cell)
	}
	_, err := fmt.Fprintln(t.w, strings.Join(cells, "\t"))
	return err
}

func (t *table) end() error { return t.w.Flush() }

// printable keeps what a payer typed from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '·'
		}
		return r
	}, s)
}

// profile is a server with the key that is used there.
type profile struct {
	URL    string `json:"url"`
	APIKey string `json:"apiKey"`
}

// profiles is the file that login writes.
type profiles struct {
	Profiles map[string]profile `json:"profiles"`
}

const maxProfilesBytes = 64 << 10

func profilesPath() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "paylink", "config.json"), err
}

// readProfiles gives none when there is no file. Whoever may read the file may use
// the keys, so a file that others can read is refused.
func readProfiles() (profiles, error) {
	none := profiles{Profiles: map[string]profile{}}
	path, err := profilesPath()
	if err != nil {
		return none, err
	}
	f, err := os.Open(path) //nolint:gosec // the user's own folder
	if errors.Is(err, os.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return none, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return none, fmt.Errorf("%s holds keys and others may read it: chmod 600 it", path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxProfilesBytes))
	if err != nil {
		return none, err
	}
	all := none
	if err := json.Unmarshal(raw, &all); err != nil || all.Profiles == nil {
		return none, fmt.Errorf("%s is not a file that paylink login wrote: %w", path, err)
	}
	return all, nil
}

// write replaces the file at once, readable by its owner alone.
func (p profiles) write() (path string, err error) {
	if path, err = profilesPath(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".config-*") // 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(append(raw, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return path, os.Rename(f.Name(), path)
}

// complete takes from the profile what flags and environment do not say. A key
// never goes to another server than the one that it was saved for.
func (r *remote) complete() error {
	if r.URL != "" && r.APIKey != "" {
		return nil
	}
	all, err := readProfiles()
	if err != nil {
		return err
	}
	saved := all.Profiles[r.Profile]
	switch {
	case r.URL == "" && saved.URL == "":
		r.URL = "http://127.0.0.1:8080"
	case r.URL == "":
		r.URL = saved.URL
	}
	if r.APIKey == "" && strings.TrimRight(saved.URL, "/") == strings.TrimRight(r.URL, "/") {
		r.APIKey = saved.APIKey
	}
	return nil
}

func (r *remote) credentials() client.Option {
	if id, secret, both := strings.Cut(r.APIKey, ":"); both {
		return client.WithKey(id, secret)
	}
	return client.WithSecret(r.APIKey)
}
