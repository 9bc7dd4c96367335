package main_test

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// onTerminal runs a command whose messages go to a terminal of 100 columns, and gives
// its result and all that the terminal was sent.
func onTerminal(t *testing.T, args ...string) (out, screen string) {
	t.Helper()
	far, near, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(near, &pty.Winsize{Rows: 24, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(far) // ends with an error when nobody has the other side any more
		read <- string(all)
	}()
	var result bytes.Buffer
	c := exec.CommandContext(t.Context(), paylinkBinary(t), args...) //nolint:gosec // the binary is ours
	c.Stdout, c.Stderr = &result, near
	err = c.Run()
	_ = near.Close()
	screen = <-read
	_ = far.Close()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, screen)
	}
	return result.String(), screen
}

// TestProgressOnATerminal: what takes long shows a bar on a real terminal, and only
// there; its result stays clean.
func TestProgressOnATerminal(t *testing.T) {
	p := serve(t)
	_, key := p.merchant(t, "ada")
	for range 20 {
		key.link(`"amount":"12.50"`)
	}
	p.end()
	dir := t.TempDir()
	file := filepath.Join(dir, "archive")
	other := filepath.Join(dir, "other")
	for _, c := range []struct {
		args []string
		bar  string
		said string
	}{
		{[]string{"export", "--data", p.data, file}, `export \[=+\] 100% \d+/\d+ objects`, "exported 20 links\n"},
		{[]string{"verify", "--data", p.data}, `verify \[=+\] 100% (\d+)/(\d+) objects`, " 0 broken\n"},
		{[]string{"backup", "--data", p.data, filepath.Join(dir, "copy")}, `copy paylink.db \[=+\] 100% [0-9.]+ KiB/[0-9.]+ KiB`, "copied to "},
		{[]string{"import", "--data", other, "--keys", filepath.Join(p.data, "keys"), file}, `import \[=+\] 100% ([0-9.]+ KiB)/[0-9.]+ KiB`, "imported 20 links\n"},
	} {
		out, screen := onTerminal(t, c.args...)
		if !regexp.MustCompile(c.bar).MatchString(screen) || !strings.Contains(screen, "\r") {
			t.Errorf("%s: the terminal shows %q", c.args[0], screen)
		}
		if !strings.Contains(out, c.said) || strings.ContainsAny(out, "\r\x1b") {
			t.Errorf("%s: said %q", c.args[0], out)
		}
	}
	if _, screen := onTerminal(t, "verify", "--quiet", "--data", p.data); screen != "" {
		t.Errorf("--quiet: %q", screen)
	}
	if _, errs, _ := command(t, "verify", "--data", p.data); errs != "" {
		t.Errorf("where there is no terminal: %q", errs)
	}
}
