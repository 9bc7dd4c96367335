// Package progress shows a person how far a long task is: as a bar on a terminal, as a plain
// line every few seconds elsewhere, or not at all.
//
// Order of calls: Start, then Stage, Add and Set as the work goes on, from any goroutine, then
// End, once. The work never waits for the display, and a writer that fails only ends it. The
// display belongs on standard error, so that the result on standard output stays clean.
package progress

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// How often the progress is drawn, and how wide.
const (
	redrawEvery  = 100 * time.Millisecond // on a terminal
	lineEvery    = 5 * time.Second        // elsewhere
	defaultWidth = 80                     // columns, if the terminal does not say
	maxWidth     = 120
	minBarWidth  = 10
	barWidth     = 30
)

// To is where progress is shown. The zero value shows nothing.
type To struct {
	Out   io.Writer
	Quiet bool
}

// Unit is the unit of the count.
type Unit string

// Bytes are shown as KiB, MiB and so on; every other unit by its name.
const Bytes Unit = "bytes"

// Meter is the progress of one task. All methods of a nil Meter do nothing.
type Meter struct {
	out      io.Writer
	terminal *os.File // nil: out is not a terminal
	stop     chan struct{}
	stopped  chan struct{}

	mu      sync.Mutex
	label   string
	unit    Unit
	total   int64 // 0: unknown
	done    int64
	began   time.Time // of the stage
	drawn   bool
	last    string
	spinner int
}

// Start starts the display; total 0 means unknown.
func (t To) Start(label string, unit Unit, total int64) *Meter {
	if t.Out == nil || t.Quiet {
		return nil
	}
	m := &Meter{out: t.Out, label: label, unit: unit, total: total, began: time.Now(), stop: make(chan struct{}), stopped: make(chan struct{})}
	if f, ok := t.Out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		m.terminal = f
	}
	go m.run()
	return m
}

// Stage begins another part of the work, with a count of its own.
func (m *Meter) Stage(label string, unit Unit, total int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.label, m.unit, m.total, m.done, m.began = label, unit, total, 0, time.Now()
}

// Add adds n to the count.
func (m *Meter) Add(n int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
}

// Set sets the count.
func (m *Meter) Set(n int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = n
}

// Total sets the total.
func (m *Meter) Total(n int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total = n
}

// End draws the last state and ends the line. After it returns nothing more is written.
func (m *Meter) End() {
	if m == nil {
		return
	}
	close(m.stop)
	<-m.stopped
}

func (m *Meter) run() {
	defer close(m.stopped)
	every := lineEvery
	if m.terminal != nil {
		every = redrawEvery
		m.draw()
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.draw()
		case <-m.stop:
			// For work that took less than one line's time the result is enough.
			if m.terminal != nil || m.drawn {
				m.draw()
			}
			if m.terminal != nil {
				_, _ = fmt.Fprintln(m.out)
			}
			return
		}
	}
}

// draw writes the bar over the previous one, or the next line. It writes no line twice.
func (m *Meter) draw() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.terminal == nil {
		if line := m.line(now); line != m.last {
			m.last, m.drawn = line, true
			_, _ = fmt.Fprintln(m.out, line) // the output is gone; the work goes on
		}
		return
	}
	width, _, err := term.GetSize(int(m.terminal.Fd()))
	if err != nil || width <= 0 {
		width = defaultWidth
	}
	m.spinner++
	_, _ = fmt.Fprint(m.out, "\r"+m.bar(min(width, maxWidth)-1, now)+"\x1b[K")
}

// line returns the state in words.
func (m *Meter) line(now time.Time) string {
	s := m.label + ": " + m.amount(m.done)
	if m.total > 0 {
		s += " of " + m.amount(m.total)
	}
	if m.unit != Bytes {
		s += " " + string(m.unit)
	}
	if m.total > 0 {
		s += fmt.Sprintf(" (%d%%)", m.percent())
	}
	return strings.Join(append([]string{s}, m.pace(now)...), ", ")
}

// bar returns the state as a bar of at most width columns. If it is too long, it leaves out
// parts from the end, and then the bar itself.
func (m *Meter) bar(width int, now time.Time) string {
	figures := m.amount(m.done)
	if m.total > 0 {
		figures += "/" + m.amount(m.total)
	}
	if m.unit != Bytes {
		figures += " " + string(m.unit)
	}
	parts := append([]string{figures}, m.pace(now)...)
	for {
		text := strings.Join(parts, "  ")
		space := width - len(m.label) - len(text) - 2
		switch {
		case space >= minBarWidth+7:
			return m.label + " " + m.picture(min(space-7, barWidth)) + " " + text
		case len(parts) > 1:
			parts = parts[:len(parts)-1]
			continue
		}
		return strings.TrimRight(cut(m.label+" "+text, width), " ")
	}
}

// picture returns the bar with its percentage, 7 columns more than its width, or a moving mark
// if the total is unknown.
func (m *Meter) picture(width int) string {
	if m.total <= 0 {
		at := m.spinner % width
		return "[" + strings.Repeat(" ", at) + "=" + strings.Repeat(" ", width-at-1) + "]"
	}
	full := int(int64(width) * m.share() / shares)
	head := ""
	if full < width {
		head = ">" + strings.Repeat(" ", width-full-1)
	}
	return fmt.Sprintf("[%s%s] %3d%%", strings.Repeat("=", full), head, m.percent())
}

// shares divides the whole into parts that need no fractions.
const shares = 1000

func (m *Meter) share() int64 {
	return int64(float64(shares) * float64(max(min(m.done, m.total), 0)) / float64(m.total))
}

func (m *Meter) percent() int64 { return m.share() * 100 / shares }

// pace returns the rate of the stage so far, and the remaining time at that rate.
func (m *Meter) pace(now time.Time) []string {
	took := now.Sub(m.began)
	if took <= 0 || m.done <= 0 {
		return nil
	}
	rate := float64(m.done) / took.Seconds()
	out := []string{m.amount(int64(rate)) + "/s"}
	if left := m.total - m.done; left > 0 {
		out = append(out, duration(time.Duration(float64(left)/rate*float64(time.Second)))+" left")
	}
	return out
}

func (m *Meter) amount(n int64) string {
	if m.unit != Bytes {
		return thousands(n)
	}
	const step = 1024
	value, unit := float64(n), 0
	names := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for value >= step && unit < len(names)-1 {
		value, unit = value/step, unit+1
	}
	if unit == 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return fmt.Sprintf("%.1f %s", value, names[unit])
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// duration returns a short text: two units at most, and none below a second.
func duration(d time.Duration) string {
	d = min(max(d, time.Second), 1000*time.Hour).Round(time.Second)
	h, minutes, s := d/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second
	switch {
	case h > 0:
		return fmt.Sprintf("%d h %d min", h, minutes)
	case minutes > 0:
		return fmt.Sprintf("%d min %d s", minutes, s)
	}
	return fmt.Sprintf("%d s", s)
}

func cut(s string, width int) string {
	if len(s) > width {
		return s[:max(width, 0)]
	}
	return s
}
