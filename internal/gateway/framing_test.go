package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/paylink/paylink/internal/gateway"
	"github.com/paylink/paylink/internal/obs"
)

// TestTwoLengths sends requests over one connection to a real server, in one piece and byte
// by byte, and checks which are handled. A request with two lengths is not, nor is anything
// after it.
func TestTwoLengths(t *testing.T) {
	const (
		end     = "GET /z HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
		get     = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
		post    = "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nTransfer-"
		lines   = "POST /b HTTP/1.1\nHost: h\ncontent-length:7\n\na\n\nb\r\n\r"
		chunked = "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
		both    = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		turned  = "POST /x HTTP/1.1\r\nHost: h\r\ntransfer-encoding:chunked\r\nCONTENT-LENGTH:0\r\n\r\n0\r\n\r\n"
		old     = "POST /x HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0"
		oldOne  = "GET /d HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
		folded  = "GET /e HTTP/1.1\r\nHost: h\r\nX: a\r\n Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		padded  = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length:%s0\r\n\r\n"
	)
	for name, c := range map[string]struct {
		sent string
		want []string // the paths that a handler sees, each answered with 200
		bad  bool     // then 400, instead of the rest
	}{
		"one after another":         {get + post + lines + end, []string{"/a", "/b", "/b", "/z"}, false},
		"a stream is the last":      {get + chunked + end, []string{"/a", "/c"}, false},
		"both":                      {both + end, nil, true},
		"the other way round":       {turned + end, nil, true},
		"after others":              {get + post + both + end, []string{"/a", "/b"}, true},
		"in HTTP/1.0":               {old + end, nil, true},
		"HTTP/1.0 is the last":      {oldOne + end, []string{"/d"}, false},
		"a folded line is no line":  {folded + end, []string{"/e"}, false},
		"a length far to the right": {fmt.Sprintf(padded, strings.Repeat(" ", 100)) + both, nil, true},
		"no number":                 {"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello" + end, nil, true},
	} {
		for _, slow := range []bool{true, false} {
			paths, statuses := exchange(t, c.sent, slow)
			want := slices.Repeat([]int{http.StatusOK}, len(c.want))
			switch {
			case c.bad && slow: // what came before was handled
				want = append(want, http.StatusBadRequest)
			case c.bad:
				want, c.want = []int{http.StatusBadRequest}, nil
			}
			if !slices.Equal(paths, c.want) || !slices.Equal(statuses, want) {
				t.Errorf("%s, byte by byte %v: handled %v, want %v; answered %v, want %v", name, slow, paths, c.want, statuses, want)
			}
		}
	}
}

// exchange sends the bytes over one connection, and returns the paths that a handler saw, and
// the statuses of the responses until the server closed the connection.
func exchange(t *testing.T, sent string, slow bool) (paths []string, statuses []int) {
	t.Helper()
	seen := make(chan string, 10)
	server := &http.Server{Handler: gateway.New(gateway.Config{
		NotFound: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			seen <- r.URL.Path
			w.WriteHeader(http.StatusOK)
		}),
		Ready: func(context.Context) error { return nil }, Metrics: obs.NewMetrics(), Log: slog.New(slog.DiscardHandler)})}
	far, near := net.Pipe()
	l := oneConnection{make(chan net.Conn, 1)}
	l.conn <- far
	if slow {
		<-l.conn
		l.conn <- byteByByte{far, iotest.OneByteReader(far)}
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(gateway.Framed(l)) }()

	go func() { _, _ = io.WriteString(near, sent) }() // fails when the server closes first
	in := bufio.NewReader(near)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			break
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		statuses = append(statuses, resp.StatusCode)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	<-ended
	for len(seen) > 0 {
		paths = append(paths, <-seen)
	}
	return paths, statuses
}

// oneConnection is a listener with one connection.
type oneConnection struct{ conn chan net.Conn }

func (l oneConnection) Accept() (net.Conn, error) {
	if c, ok := <-l.conn; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l oneConnection) Close() error   { close(l.conn); return nil }
func (l oneConnection) Addr() net.Addr { return &net.TCPAddr{} }

// byteByByte is a connection that gives one byte at a time.
type byteByByte struct {
	net.Conn
	in io.Reader
}

func (c byteByByte) Read(b []byte) (int, error) { return c.in.Read(b) }
