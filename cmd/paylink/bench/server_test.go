//go:build linux

package bench

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout  = 60 * time.Second
	stopTimeout   = 40 * time.Second
	ticksASecond  = 100 // USER_HZ, which Linux fixes at 100 for programs
	statUserTicks = 13  // utime in /proc/PID/stat, counted from 0; stime follows
)

// server is the product under load: one process, or several that work together.
type server struct {
	running []*exec.Cmd // in the order in which they are stopped
	data    string
	host    string
	basic   string // the header with a key's credentials
	stopped bool
	engine  func() time.Duration // processor time of the database's processes; nil if it has none
}

// binary returns PAYLINK_BINARY, or builds one.
func binary(b *testing.B) string {
	b.Helper()
	if path := os.Getenv("PAYLINK_BINARY"); path != "" {
		return path
	}
	path := filepath.Join(b.TempDir(), "paylink")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-o", path, "github.com/paylink/paylink/cmd/paylink")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// start runs the binary as one process on a new folder until the benchmark ends or stop is
// called.
func start(b *testing.B, flags ...string) *server {
	b.Helper()
	s := &server{data: b.TempDir()}
	b.Cleanup(func() { s.stop(b) })
	serving := s.launch(b, binary(b), append([]string{"--data", s.data, "--listen", "127.0.0.1:0", "--demo"}, flags...)...)
	s.host, _ = serving["listen"].(string)
	var demo struct{ KeyID, Secret string }
	raw, err := os.ReadFile(filepath.Join(s.data, "demo.json"))
	if err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(raw, &demo); err != nil {
		b.Fatal(err)
	}
	s.authenticate(demo.KeyID, demo.Secret)
	return s
}

func (s *server) authenticate(id, secret string) {
	s.basic = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret)) + "\r\n"
}

// launch starts one process and returns what it prints when it serves.
func (s *server) launch(b *testing.B, binary string, flags ...string) map[string]any {
	b.Helper()
	cmd := exec.Command(
		binary,
		append(
			[]string{"serve", "--allow-private-webhooks", "--limit", "key=1000000/s", "--limit", "account=1000000/s", "--limit", "link=1000000/s"},
			flags...)...) // stopped by a signal, so that it can drain
	logs, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	s.running = append(s.running, cmd)
	serving := make(chan map[string]any, 1)
	go func() {
		lines := bufio.NewScanner(logs)
		for lines.Scan() {
			var entry map[string]any
			if json.Unmarshal(lines.Bytes(), &entry) == nil && entry["msg"] == "serving" {
				serving <- entry
				continue
			}
			if entry["level"] != "INFO" {
				_, _ = fmt.Fprintln(os.Stderr, "server:", lines.Text())
			}
		}
	}()
	select {
	case entry := <-serving:
		return entry
	case <-time.After(startTimeout):
		b.Fatal("the server does not start")
		return nil
	}
}

// stop ends every process; a second stop does nothing.
func (s *server) stop(b *testing.B) {
	if s.stopped {
		return
	}
	s.stopped = true
	for _, cmd := range s.running {
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			b.Error(err)
		}
		select {
		case err := <-done:
			if err != nil {
				b.Errorf("%v ended with %v", cmd.Args, err)
			}
		case <-time.After(stopTimeout):
			b.Errorf("%v does not stop; killed", cmd.Args)
			_ = cmd.Process.Kill()
		}
	}
}

// cpu returns the processor time that all processes have used.
func (s *server) cpu() (used time.Duration, err error) {
	for _, cmd := range s.running {
		one, err := processorTime(cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		used += one
	}
	return used, nil
}

func (s *server) engineCPU() time.Duration {
	if s.engine == nil {
		return 0
	}
	return s.engine()
}

// processorTime returns the time of one process, without its children.
func processorTime(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may contain spaces; the fields count from 0 with the pid.
	_, after, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(after)
	var ticks int64
	for _, f := range fields[statUserTicks-2 : statUserTicks] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksASecond, nil
}

// memory returns the present and the peak resident memory of all processes, in MiB.
func (s *server) memory() (now, peak float64, err error) {
	for _, cmd := range s.running {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if err != nil {
			return 0, 0, err
		}
		for line := range strings.Lines(string(raw)) {
			name, value, _ := strings.Cut(line, ":")
			kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			switch name {
			case "VmRSS":
				now += kib / 1024
			case "VmHWM":
				peak += kib / 1024
			}
		}
	}
	return now, peak, nil
}

// ownCPU returns the processor time of the load generator.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// load returns the machine's load average over the last minute.
func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(raw), " ")
	return one
}
