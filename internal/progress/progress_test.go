package progress_test

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"

	"github.com/paylink/paylink/internal/progress"
)

// page is a writer that is not a terminal.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// pass lets time pass in a synctest bubble.
func pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

// TestPlainLines: without a terminal there is a line every five seconds, without any control
// character, and none for work that is done sooner.
func TestPlainLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out page
		m := progress.To{Out: &out}.Start("export", "objects", 12_000)
		pass(500 * time.Millisecond)
		for range 12 {
			pass(time.Second)
			m.Add(1000)
		}
		m.End()
		want := "export: 4,000 of 12,000 objects (33%), 800/s, 10 s left\n" +
			"export: 9,000 of 12,000 objects (75%), 900/s, 3 s left\n" +
			"export: 12,000 of 12,000 objects (100%), 960/s\n"
		if got := out.text.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		var quick page
		m = progress.To{Out: &quick}.Start("backup", progress.Bytes, 10)
		m.Set(10)
		m.End()
		if quick.text.Len() != 0 {
			t.Errorf("said of quick work: %q", quick.text.String())
		}
	})
}

func TestBytesAndStages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out page
		m := progress.To{Out: &out}.Start("database", progress.Bytes, 0)
		m.Set(3 << 20)
		pass(5 * time.Second)
		synctest.Wait()
		m.Stage("payments", "payments", 7200)
		m.Set(1)
		pass(5 * time.Second)
		synctest.Wait()
		m.End()
		want := "database: 3.0 MiB, 614.4 KiB/s\npayments: 1 of 7,200 payments (0%), 0/s, 9 h 59 min left\n"
		if got := out.text.String(); !strings.HasPrefix(got, want) {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

func TestQuiet(t *testing.T) {
	var out page
	for _, to := range []progress.To{{}, {Out: &out, Quiet: true}} {
		m := to.Start("x", "objects", 1)
		m.Add(1)
		m.Stage("y", "objects", 1)
		m.Set(1)
		m.End()
	}
	if out.text.Len() != 0 {
		t.Errorf("%q", out.text.String())
	}
}

// TestABarOnATerminal draws on a real pseudo-terminal.
func TestABarOnATerminal(t *testing.T) {
	for _, c := range []struct {
		columns uint16
		want    string // of the last bar
	}{
		{100, `^export \[={30}\] 100% 5,000/5,000 objects  [0-9,]+/s$`},
		{50, `^export \[={10,}\] 100% 5,000/5,000 objects$`},
		{20, `^export 5,000/5,000$`},
	} {
		screen, f, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := pty.Setsize(f, &pty.Winsize{Rows: 24, Cols: c.columns}); err != nil {
			t.Fatal(err)
		}
		read := make(chan string, 1)
		go func() {
			all, _ := io.ReadAll(screen) // ends with an error when the other side is closed
			read <- string(all)
		}()
		m := progress.To{Out: f}.Start("export", "objects", 5000)
		m.Set(5000)
		m.End()
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		got := <-read
		if err := screen.Close(); err != nil {
			t.Fatal(err)
		}
		pictures := strings.Split(strings.TrimRight(got, "\r\n"), "\r")
		last := strings.TrimSuffix(pictures[len(pictures)-1], "\x1b[K")
		if !regexp.MustCompile(c.want).MatchString(last) || len(last) >= int(c.columns) {
			t.Errorf("%d columns: %q", c.columns, got)
		}
	}
}

// TestAFileIsNoTerminal: output to a file has no control characters.
func TestAFileIsNoTerminal(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	m := progress.To{Out: f}.Start("export", "objects", 1)
	m.End()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(f.Name()); err != nil || len(raw) != 0 {
		t.Errorf("%q, %v", raw, err)
	}
}
