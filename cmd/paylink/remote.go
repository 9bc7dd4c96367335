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

// Exit statuses of the commands that call a server, documented in docs/cli.md.
const (
	exitFailed      = 1 // on this side: wrong usage, a file, an invalid answer
	exitCredentials = 3 // missing or refused
	exitNotFound    = 4
	exitRefused     = 5 // the server refuses: invalid, declined, or the state forbids it
	exitUnreachable = 6 // no answer, or a temporary refusal: the same command may work later
)

// remote holds the flags of every command that calls a server.
type remote struct {
	URL     string `help:"URL of the server; the profile's by default." placeholder:"URL"`
	APIKey  string `help:"API key, as SECRET or ID:SECRET; the profile's by default." name:"api-key" placeholder:"KEY"`
	Profile string `help:"Profile to use, saved by paylink login." default:"default"`
	JSON    bool   `help:"Print JSON, one object per line." name:"json"`
}

// remoteCommand is a command that calls a server. Its settings are not in the server's
// configuration file.
type remoteCommand interface {
	flags() remote
	call(context.Context, *console) error
}

func (r remote) flags() remote { return r }

// isRemote reports whether a node of the command line calls a server, or only groups such
// commands.
func isRemote(n *kong.Node) bool {
	if !n.Target.IsValid() || !n.Target.CanAddr() {
		return false
	}
	_, ok := n.Target.Addr().Interface().(remoteCommand)
	return ok
}

// console is the environment of such a command: the server, and the outputs.
type console struct {
	*client.Client
	url       string
	json      bool
	out, errs io.Writer
}

// runRemote runs the command and returns the exit status.
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
	if err == nil || (ctx.Err() != nil && errors.Is(err, context.Canceled)) { // stopped by the user: a normal end
		return 0
	}
	_ = fail(errs, err)
	return exitStatus(err)
}

func exitStatus(err error) int {
	var e *client.Error
	if !errors.As(err, &e) {
		var op interface{ Timeout() bool }
		if errors.As(err, &op) { // a network error
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

// print prints an object: as JSON, or in a form for people.
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

// say prints a message beside the output.
func (c *console) say(text string, args ...any) {
	_, _ = fmt.Fprintf(c.errs, text+"\n", args...) // no reader: nothing can be done
}

// table prints rows under a header; with --json it prints the objects instead.
type table struct {
	c *console
	w *tabwriter.Writer
}

func (c *console) table(columns ...string) *table {
	t := &table{c: c, w: tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)}
	if !c.json {
		_, _ = fmt.Fprintln(t.w, strings.Join(columns, "\t")) // Flush returns the error
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

// printable keeps text from payers from controlling the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '·'
		}
		return r
	}, s)
}

// profile is a server with its key.
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

// readProfiles returns none if there is no file. A reader of the file can use the keys, so a file
// that other users can read is refused.
func readProfiles() (profiles, error) {
	none := profiles{Profiles: map[string]profile{}}
	path, err := profilesPath()
	if err != nil {
		return none, err
	}
	f, err := os.Open(path)
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
		return none, fmt.Errorf("%s contains keys and is readable by other users: run chmod 600 on it", path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxProfilesBytes))
	if err != nil {
		return none, err
	}
	all := none
	if err := json.Unmarshal(raw, &all); err != nil || all.Profiles == nil {
		return none, fmt.Errorf("%s is not a valid profile file: %w", path, err)
	}
	return all, nil
}

// write replaces the file atomically, readable by its owner only.
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

// complete fills from the profile what flags and environment do not set. A key is only sent to
// the server for which it was saved.
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
