// Package pgtest starts a real PostgreSQL for tests: a cluster in a temporary folder, on a free
// loopback port, as an unprivileged user, with fsync on.
//
// A test binary has one cluster, started on first use, and each test has its own database. A
// server cannot outlive its test binary: a shell holds a pipe to it, and when the pipe closes,
// however the binary ended, the shell stops the server by its pid and removes the folder.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	startTimeout  = 5 * time.Minute // on a busy machine
	probeEvery    = 20 * time.Millisecond
	memoryDisk    = "/dev/shm" // fsync costs nothing there
	memoryDiskMin = 2 << 30    // bytes that must be free, or the temporary folder is used
)

// Server is one cluster.
type Server struct {
	bin, dir string
	port     int
	shell    *exec.Cmd
	leash    io.Closer // the shell's standard input
	pid      int
}

var shared struct {
	sync.Mutex
	server *Server
}

// databases makes names unique in a process.
var databases atomic.Int64

// Database creates an empty database in the binary's cluster, and drops it at the end of the
// test. It returns the URL.
func Database(t testing.TB) string {
	t.Helper()
	shared.Lock()
	if shared.server == nil {
		shared.server = create(t, disk())
		shared.server.Start(t)
	}
	s := shared.server
	shared.Unlock()
	return s.Database(t)
}

// New starts a cluster that the test may stop, kill and start again.
func New(t testing.TB) *Server { t.Helper(); return newIn(t, disk()) }

// NewOnDisk is New in the temporary folder, never in memory. It is for measurements, in which an
// fsync must have its real cost.
func NewOnDisk(t testing.TB) *Server { t.Helper(); return newIn(t, os.TempDir()) }

func newIn(t testing.TB, folder string) *Server {
	t.Helper()
	s := create(t, folder)
	s.Start(t)
	t.Cleanup(func() {
		s.Kill(t)
		if err := os.RemoveAll(s.dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Database creates an empty database, and drops it at the end of the test.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	t.Log("engine: PostgreSQL") // scripts/test.sh counts these
	name := fmt.Sprintf("test_%d", databases.Add(1))
	s.Exec(t, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		if s.leash != nil {
			s.Exec(t, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		}
	})
	return s.URL(name)
}

// URL returns the URL of a database, for its superuser.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// Exec runs statements in the maintenance database, as its superuser.
func (s *Server) Exec(t testing.TB, statements string) {
	t.Helper()
	Exec(t, s.URL("postgres"), statements)
}

// Exec runs statements on a connection of its own.
func Exec(t testing.TB, url, statements string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(ctx, statements)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		t.Fatal(err)
	}
}

func create(t testing.TB, folder string) *Server {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(folder, "pgtest-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{bin: bin, dir: dir}
	who, err := owner()
	if err == nil && who != nil {
		err = os.Chown(dir, int(who.Uid), int(who.Gid))
	}
	if err != nil {
		t.Fatal(err)
	}
	initdb := s.command("", filepath.Join(bin, "initdb"), "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
		"--data-checksums", "--no-sync", "--no-instructions")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	return s
}

// disk returns the folder for clusters.
func disk() string {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memoryDisk, &fs); err == nil && fs.Bavail*uint64(fs.Bsize) > memoryDiskMin {
		return memoryDisk
	}
	return os.TempDir()
}

// programs returns the folder of PostgreSQL's programs: version 15 if there are several.
func programs() (string, error) {
	if dir := "/usr/lib/postgresql/15/bin"; exists(filepath.Join(dir, "initdb")) {
		return dir, nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("PostgreSQL is missing, scripts/needs.sh installs it: %w", err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	return filepath.Dir(path), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// owner returns the user as whom PostgreSQL runs: it refuses root.
func owner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(script string, args ...string) *exec.Cmd {
	if script != "" {
		args = append([]string{"/bin/sh", "-c", script, "sh"}, args...)
	}
	c := exec.CommandContext(context.Background(), args[0], args[1:]...) //nolint:gosec // the test's own programs
	c.Dir = s.dir
	c.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	return c
}

// leashed stops the server when its standard input closes. The shell's first line
// of output is the server's pid.
const leashed = `dir=$1; shift
"$@" </dev/null >>"$dir/log" 2>&1 &
pid=$!
echo $pid
exec >/dev/null
cat >/dev/null
kill -QUIT $pid
wait $pid
[ -e "$dir/keep" ] || rm -rf "$dir"`

// Start starts the server and waits until it answers. A server that was stopped
// comes back on its port.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if s.port == 0 {
		s.port = FreePort(t, 5500, 12_000)
	}
	who, err := owner()
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(s.dir, "keep"))
	s.shell = s.command(
		leashed,
		s.dir,
		filepath.Join(s.bin, "postgres"),
		"-D",
		s.data(),
		"-p",
		strconv.Itoa(s.port),
		"-h",
		"127.0.0.1",
		"-c",
		"unix_socket_directories=",
		"-c",
		"max_connections=500",
		"-c",
		"shared_buffers=32MB",
		"-c",
		"max_wal_size=256MB",
		"-c",
		"wal_level=minimal",
		"-c",
		"max_wal_senders=0",
		"-c",
		"log_line_prefix=%m %p %d ",
	)
	s.shell.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setpgid: true} // a terminal's Ctrl-C is for the test
	stdin, err := s.shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := s.shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.shell.Start(); err != nil {
		t.Fatal(err)
	}
	s.leash = stdin
	if _, err := fmt.Fscan(stdout, &s.pid); err != nil {
		t.Fatal(err)
	}
	s.await(t)
}

// given holds the ports that FreePort returned: none is returned twice.
var given sync.Map

// FreePort returns a loopback port in [from, to) on which nothing listens at this moment. The
// range must lie below the ports that systems assign to outgoing connections and for port 0, so
// that no other process takes the port before the server starts, or while it is down.
func FreePort(t testing.TB, from, to int) int {
	t.Helper()
	for range 1000 {
		port := from + rand.IntN(to-from)
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue // the port is in use
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no port is free")
	return 0
}

func (s *Server) await(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			_ = conn.Close(ctx)
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			t.Fatalf("PostgreSQL does not start: %v\n%s", err, strings.TrimSpace(string(log)))
		}
	}
}

// Copy dumps a database and restores it into another, possibly on another server, with the
// programs that an operator uses.
func (s *Server) Copy(t testing.TB, from, to string) {
	t.Helper()
	dump := filepath.Join(t.TempDir(), "dump")
	for _, c := range []*exec.Cmd{
		s.command("", filepath.Join(s.bin, "pg_dump"), "--format=custom", "--file="+dump, from),
		s.command("", filepath.Join(s.bin, "pg_restore"), "--exit-on-error", "--dbname="+to, dump),
	} {
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.Args[0], err, out)
		}
	}
}

// Stop shuts the server down, as an operator does: open transactions are rolled back and their
// clients notified.
func (s *Server) Stop(t testing.TB) { t.Helper(); s.end(t, syscall.SIGINT) }

// Kill ends the server at once, as a crash does. It recovers from its log at the next start.
func (s *Server) Kill(t testing.TB) { t.Helper(); s.end(t, syscall.SIGQUIT) }

func (s *Server) end(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if s.leash == nil {
		return
	}
	if err := os.WriteFile(filepath.Join(s.dir, "keep"), nil, 0o600); err != nil { // the folder is still needed
		t.Fatal(err)
	}
	if err := syscall.Kill(s.pid, signal); err != nil {
		t.Fatal(err)
	}
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for syscall.Kill(s.pid, 0) == nil && !zombie(s.pid) {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("PostgreSQL does not stop")
		}
	}
	_ = s.leash.Close()
	s.leash = nil
	_ = s.shell.Wait()
}

// zombie reports whether a server has ended but not been waited for by the shell.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}
