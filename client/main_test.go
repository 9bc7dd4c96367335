package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/client"
	"github.com/paylink/paylink/internal/app"
)

// server is the real server, in this process, on its own data folder.
var server struct {
	url, keyID, secret string
	username, password string
}

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "paylink-client-")
	if err != nil {
		return failed(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	stop, err := startServer(dir)
	if err != nil {
		return failed(err)
	}
	code := m.Run()
	if err := stop(); err != nil {
		return failed(err)
	}
	return code
}

func failed(err error) int {
	_, _ = fmt.Fprintln(os.Stderr, err)
	return 1
}

// startServer serves until stop, and reads the demo account's credentials.
func startServer(dir string) (stop func() error, err error) {
	free, err := net.Listen("tcp", "127.0.0.1:0") // closed at once: it only finds a port
	if err != nil {
		return nil, err
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var logs journal
	go func() {
		ended <- app.Serve(ctx, app.Config{Targets: []string{"all"}, DataDir: dir, Listen: address, AdminListen: "127.0.0.1:0", Demo: true,
			AllowPrivateWebhooks: true, FraudBudget: time.Second}, io.Discard, &logs)
	}()
	stop = func() error { cancel(); return <-ended }
	server.url = "http://" + address
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		if resp, err := http.Get(server.url + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("the server ended: %w\n%s", err, logs.String())
		case <-deadline:
			return nil, fmt.Errorf("the server is not ready: %w\n%s", stop(), logs.String())
		case <-tick.C:
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "demo.json"))
	if err != nil {
		return nil, err
	}
	var demo struct{ Username, Password, KeyID, Secret string }
	if err := json.Unmarshal(raw, &demo); err != nil {
		return nil, err
	}
	server.keyID, server.secret, server.username, server.password = demo.KeyID, demo.Secret, demo.Username, demo.Password
	return stop, nil
}

// journal is written by the server and read by a failing test.
type journal struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *journal) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *journal) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// connect returns a client of the server, with the demo account's key.
func connect(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(server.url, client.WithKey(server.keyID, server.secret))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signedIn returns a client of the demo account's user.
func signedIn(t *testing.T) *client.Client {
	t.Helper()
	c := connect(t)
	s, err := c.Users.SignIn(t.Context(), client.SignIn{Login: server.username, Password: server.password})
	if err != nil {
		t.Fatal(err)
	}
	user, err := c.As(client.WithSession(s.Token))
	if err != nil {
		t.Fatal(err)
	}
	return user
}
