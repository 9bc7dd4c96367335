package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/i18n"
)

// guide is a quick start: its fenced blocks, with the file name under which the text says to save
// a block.
type guideBlock struct{ kind, file, text string }

func readGuide(t *testing.T, name string) (blocks []guideBlock) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(harness.ModuleRoot(t), "docs", "quickstart", name))
	if err != nil {
		t.Fatal(err)
	}
	saved := regexp.MustCompile("Save this as `([a-z.]+)`")
	parts := strings.Split(string(raw), "\n```")
	for i := 1; i < len(parts); i += 2 {
		kind, text, _ := strings.Cut(parts[i], "\n")
		b := guideBlock{kind: kind, text: text}
		if m := saved.FindStringSubmatch(parts[i-1]); m != nil {
			b.file = m[1]
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// reader follows a guide in one shell.
type reader struct {
	t    *testing.T
	in   io.WriteCloser
	out  *harness.Buffer
	fill *strings.Replacer
	dir  string
	n    int
}

// newReader starts in a folder with the binary and, for programs, a module that uses ours.
func newReader(t *testing.T, fill ...string) *reader {
	t.Helper()
	r := &reader{t: t, out: &harness.Buffer{}, fill: strings.NewReplacer(fill...), dir: t.TempDir()}
	root := harness.ModuleRoot(t)
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go .*$`).Find(ours)
	module := fmt.Sprintf(
		"module shop\n\n%s\n\nrequire github.com/paylink/paylink v0.0.0\n\nreplace github.com/paylink/paylink => %s\n",
		version,
		root,
	)
	if err := os.Mkdir(filepath.Join(r.dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(harness.Binary(t), filepath.Join(r.dir, "bin", "paylink")); err != nil {
		t.Fatal(err)
	}
	r.save("go.mod", module)
	r.save("go.sum", string(sums))
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail")
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+r.dir, "GOFLAGS=-mod=mod -trimpath", "GOPROXY=off")
	cmd.Stdout, cmd.Stderr = r.out, r.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what it left running ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if r.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end()
		_ = cmd.Wait() // it was killed
	})
	return r
}

func (r *reader) save(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(r.fill.Replace(text)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// types enters a block, waits until it has run, and returns what was printed.
func (r *reader) types(text string) string {
	r.t.Helper()
	r.n++
	before := len(r.out.String())
	done := fmt.Sprintf("--- block %d is done", r.n)
	if _, err := io.WriteString(r.in, r.fill.Replace(text)+"\necho '"+done+"'\n"); err != nil {
		r.t.Fatalf("%v\n%s", err, r.out)
	}
	r.sees(done)
	return r.out.String()[before:]
}

func (r *reader) sees(text string) {
	r.t.Helper()
	await.Within(r.t, 4*await.Patience, "the shell prints "+text, func() bool { return strings.Contains(r.out.String(), text) })
}

// follows runs every block of a guide in order, against a server started as "make run" starts it.
func follows(t *testing.T, name string, expect []string) *reader {
	t.Helper()
	p, _, key := harness.Developer(t)
	_, secret, _ := strings.Cut(key, ":")
	hooks := harness.FreeAddress(t)
	r := newReader(t, "key_…:pl_test_…", key, "pl_test_…", secret, "http://127.0.0.1:8080", p.URL, "127.0.0.1:4242", hooks)
	var printed []string
	for _, b := range readGuide(t, name) {
		switch {
		case b.kind == "go":
			r.save(b.file, b.text)
		case b.kind != "sh":
			t.Errorf("a block of kind %q is not run", b.kind)
		case b.text == "make run": // that is the server above
		default:
			printed = append(printed, r.types(b.text))
		}
		if strings.HasPrefix(strings.TrimSpace(b.text), "paylink listen") {
			r.sees("listening to")
		}
		if strings.Contains(b.text, "go run hooks.go") {
			await.Until(t, "the receiver of the guide listens", func() bool {
				c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", hooks)
				if err == nil {
					_ = c.Close()
				}
				return err == nil
			})
		}
	}
	if len(printed) != len(expect) {
		t.Fatalf("%d blocks, want %d", len(printed), len(expect))
	}
	for i, want := range expect {
		if ok, err := regexp.MatchString(want, printed[i]); err != nil || !ok {
			t.Errorf("block %d does not print %q: %v\n%s", i+1, want, err, printed[i])
		}
	}
	return r
}

// TestDeveloperQuickStart runs docs/quickstart/developer.md.
func TestDeveloperQuickStart(t *testing.T) {
	t.Parallel()
	r := follows(t, "developer.md", []string{
		`saved the profile default for http`,
		`(?s)lnk_\S+\nhttp\S+/l/\S+\nopen until`,
		`(?s)payment\.succeeded  pay_\S+  seq \d+.*pay_\S+ +succeeded +12\.50 EUR  visa 4242`,
		`(?s)link\.paid +pays a link.*payment\.declined  pay_`,
		`^order-2 succeeded 12\.50 EUR\n---`,
		`^order-2 succeeded 12\.50 EUR\norder-3 succeeded 12\.50 EUR\norder-3 succeeded 12\.50 EUR\n---`,
		``, ``,
		`(?s)payment\.succeeded  pay_.*refund\.succeeded  rfd_`,
		`(?s)31d|744h.*lnk_\S+  expired  40\.00 EUR`,
	})
	r.sees("→ 200 in ")
	r.sees("thank you for refund.succeeded")
}

// TestMerchantQuickStart runs docs/quickstart/merchant.md.
func TestMerchantQuickStart(t *testing.T) {
	follows(t, "merchant.md", []string{
		`(?s)lnk_.*payment\.succeeded  pay_.*payment\.declined  pay_.*declined.*succeeded`,
		`(?s)^id,createdAt,.*pay_`,
	})
}

// TestPayerQuickStart runs docs/quickstart/payer.md in one shell.
func TestPayerQuickStart(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(harness.ModuleRoot(t), "docs", "quickstart", "payer.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(raw), "\n```") {
		if i%2 == 1 {
			blocks = append(blocks, part)
		}
	}
	if len(blocks) != 4 {
		t.Fatalf("%d blocks", len(blocks))
	}
	p := harness.Start(t, "--demo")
	var found []string
	await.Until(t, "the server prints the key", func() bool {
		found = regexp.MustCompile(`API key +(key_\S+) +secret +(pl_test_\S+)\n`).FindStringSubmatch(p.Logs.String())
		return found != nil
	})
	script := strings.NewReplacer("key_…", found[1], "pl_test_…", found[2], "http://127.0.0.1:8080", p.URL).Replace(strings.Join(blocks, "\n"))
	lines := strings.Split(strings.TrimSpace(shell(t, script)), "\n")
	say := i18n.For("de")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], p.URL+"/l/") {
		t.Fatalf("it printed %q", lines)
	}
	var verdict struct{ Ours, Expired bool }
	if err := json.Unmarshal([]byte(lines[3]), &verdict); err != nil || !verdict.Ours || verdict.Expired {
		t.Errorf("the verdict: %s, %v", lines[3], err)
	}
	if !strings.HasPrefix(lines[1], "<h1>Zahlung an ") || lines[2] != `<html lang="ar" dir="rtl">` ||
		lines[4] != "<h1>"+say.T("pay.succeeded")+"</h1>" {
		t.Errorf("it printed %q", lines)
	}
}
