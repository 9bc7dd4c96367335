// Package dynamotest starts a real DynamoDB Local for tests: one per test binary, in memory, on
// its own port, killed by its process id at the end, also when a test fails.
//
// DynamoDB Local listens on all addresses. If the tests run as root, it gets its own network
// namespace, reachable only through a loopback listener that this package opens. Otherwise it
// runs without one, and a firewall has to keep strangers out.
package dynamotest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Limits of the server.
const (
	startTimeout = 5 * time.Minute // on a busy machine
	startPause   = 50 * time.Millisecond
	dialTimeout  = 5 * time.Second
	heapMebibyte = 512
)

// The endpoint accepts any credentials; these are not a secret.
const static = "accessKey=local&secretKey=local"

var shared struct {
	once   sync.Once
	server *server
	err    error
}

// Main runs a test binary's tests and ends the server that they started. Use it in TestMain:
// os.Exit(dynamotest.Main(m)).
func Main(m *testing.M) int {
	code := m.Run()
	if s := shared.server; s != nil {
		if err := s.stop(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "dynamotest:", err)
			return max(code, 1)
		}
	}
	return code
}

// Endpoint returns the server's URL. The first caller starts the server.
func Endpoint(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = start() })
	if shared.err != nil {
		t.Fatalf("DynamoDB Local does not start (scripts/needs.sh fetches it and Java): %v", shared.err)
	}
	return shared.server.endpoint
}

// URL returns the URL of a table that no other test uses.
func URL(t testing.TB) string {
	t.Helper()
	t.Log("engine: DynamoDB") // scripts/test.sh counts these
	return tableAt(Endpoint(t))
}

// FreshURL returns the URL of a table on its own server, which ends with the test. Adding an
// index to a table needs one: a server in use for a while may never finish that.
func FreshURL(t testing.TB) (url, endpoint string) {
	t.Helper()
	t.Log("engine: DynamoDB")
	s, err := start()
	if err != nil {
		t.Fatalf("DynamoDB Local does not start (scripts/needs.sh fetches it and Java): %v", err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return tableAt(s.endpoint), s.endpoint
}

func tableAt(endpoint string) string {
	var name [8]byte
	_, _ = rand.Read(name[:])
	return "dynamodb://t" + hex.EncodeToString(name[:]) + "?region=eu-central-1&" + static + "&endpoint=" + endpoint
}

type server struct {
	endpoint string
	java     *exec.Cmd
	done     chan struct{}
	log      bytes.Buffer
	listener net.Listener
	dial     func(ctx context.Context) (net.Conn, error)
	dir      string
}

func start() (*server, error) {
	jar, err := findJar()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "dynamodb-local-")
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	lib := filepath.Join(filepath.Dir(jar), "DynamoDBLocal_lib")
	//nolint:gosec,noctx // our own fixed command; stop ends it
	s := &server{done: make(chan struct{}), dir: dir, endpoint: "http://" + address, java: exec.Command("java",
		"-Xmx"+strconv.Itoa(heapMebibyte)+"m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", // it lives for a minute
		"-Djava.io.tmpdir="+dir, "-Djava.library.path="+lib, "-jar", jar,
		"-inMemory", "-sharedDb", "-disableTelemetry", "-port", strconv.Itoa(port))}
	s.java.Dir, s.java.Stdout, s.java.Stderr = dir, &s.log, &s.log
	s.java.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	s.dial = func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", address) }
	walled := os.Geteuid() == 0
	if walled {
		s.java.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	}
	// Pdeathsig fires when the thread that started the child ends: started keeps
	// that thread until the server has ended.
	started := make(chan error, 1)
	go s.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	if walled {
		if err := s.openForwarder(address); err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	if err := s.waitReady(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// findJar looks for what scripts/needs.sh downloaded, from this folder upwards.
func findJar() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		found, err := filepath.Glob(filepath.Join(dir, ".cache", "dynamodb-local-*", "package", "lib", "*", "DynamoDBLocal.jar"))
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return found[len(found)-1], nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("DynamoDBLocal.jar is not in .cache")
		}
		dir = up
	}
}

// openForwarder forwards a listener on loopback to the server in its namespace.
func (s *server) openForwarder(address string) error {
	inside, err := enter(s.java.Process.Pid)
	if err != nil {
		return err
	}
	s.dial = func(ctx context.Context) (net.Conn, error) { return inside(ctx, address) }
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil { //nolint:noctx // at once
		return err
	}
	s.endpoint = "http://" + s.listener.Addr().String()
	go func() {
		for {
			out, err := s.listener.Accept()
			if err != nil {
				return
			}
			go s.forward(out)
		}
	}()
	return nil
}

func (s *server) forward(out net.Conn) {
	defer func() { _ = out.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	in, err := s.dial(ctx)
	cancel()
	if err != nil {
		return
	}
	defer func() { _ = in.Close() }()
	var wg sync.WaitGroup
	for _, c := range [][2]net.Conn{{in, out}, {out, in}} {
		wg.Go(func() {
			_, _ = io.Copy(c[0], c[1])
			_ = c[0].(*net.TCPConn).CloseWrite()
		})
	}
	wg.Wait()
}

// waitReady waits until the server answers; any answer of its own will do.
func (s *server) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(startPause)
	defer tick.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = answer.Body.Close()
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("it ended at once: %s", strings.TrimSpace(s.log.String()))
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		case <-tick.C:
		}
	}
}

// stop ends only the server's own process.
func (s *server) stop() error {
	var errs []error
	if s.listener != nil {
		errs = append(errs, s.listener.Close())
	}
	if err := s.java.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		errs = append(errs, err)
	}
	<-s.done
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}
