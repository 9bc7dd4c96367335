package gateway

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"strings"

	"github.com/paylink/paylink/internal/gateway/connection"
)

// errFraming is the error of a connection whose next request has two lengths, or one that is not a
// plain number. net/http answers 400 and closes the connection.
var errFraming = errors.New("the length of a request's body is not clear")

// Framed returns a listener that refuses requests with both Content-Length and Transfer-Encoding,
// and closes their connections (RFC 9112, section 6.1): a proxy that reads the other length than we
// do takes a part of one request for the next. It must be outside of net/http, which drops the
// Content-Length of such a request without a trace.
//
// It follows the requests on a connection until the first with Transfer-Encoding, which the gateway
// makes the last one.
func Framed(l net.Listener) net.Listener { return framedListener{l} }

type framedListener struct{ net.Listener }

// Accept implements net.Listener.
func (l framedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &framed{Conn: c, length: -1}, nil
}

// maxFramingLine is how much of a header's line is kept: more than is needed to read a length.
const maxFramingLine = 64

// framed is a connection. Only the goroutine that reads from it uses the other fields.
type framed struct {
	net.Conn
	line    []byte // the beginning of the current line
	length  int64  // the Content-Length of the current request; -1: none
	skip    int64  // of a body, not read yet
	chunked bool   // the current request has Transfer-Encoding
	last    bool   // nothing that follows is looked at
}

// CloseWrite closes the sending side, if the connection can. The server does so after an answer that
// it gives before it has read the whole request.
func (c *framed) CloseWrite() error { return connection.CloseWrite(c.Conn) }

// Read implements net.Conn. It returns errFraming in place of what it has read if a request ends its
// headers there that must be refused.
func (c *framed) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if refused := c.follow(b[:n]); refused != nil {
		return 0, refused
	}
	return n, err
}

// follow reads the bytes of requests: lines up to an empty one, then a body.
func (c *framed) follow(b []byte) error {
	for len(b) > 0 && !c.last {
		if c.skip > 0 {
			n := min(c.skip, int64(len(b)))
			b, c.skip = b[n:], c.skip-n
			continue
		}

		part, rest, whole := bytes.Cut(b, []byte("\n"))
		c.line, b = append(c.line, part[:min(len(part), maxFramingLine-len(c.line))]...), rest
		if !whole {
			return nil
		}
		if err := c.endLine(strings.TrimSuffix(string(c.line), "\r")); err != nil {
			return err
		}
		c.line = c.line[:0]
	}

	return nil
}

// endLine takes a line of a request's headers; an empty one ends them.
func (c *framed) endLine(line string) error {
	name, value, _ := strings.Cut(line, ":")
	switch {
	case line == "":
		if c.chunked && c.length >= 0 {
			return errFraming
		}
		c.last, c.skip, c.length = c.chunked, max(c.length, 0), -1
	case strings.EqualFold(name, "Transfer-Encoding"):
		c.chunked = true
	case strings.EqualFold(name, "Content-Length"):
		n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 63)
		if err != nil {
			return errFraming
		}
		c.length = int64(n) // fits: 63 bits
	}
	return nil
}
