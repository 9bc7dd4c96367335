// Package connection lets a handler overwrite a secret in the buffer through which the HTTP server
// read it. The server keeps that buffer for the next request and then for another connection, so a
// card number would stay in it for as long as nothing longer arrives.
//
// Order of calls: Listen wraps the listener, and Context is the server's ConnContext. A handler calls
// Wipe for each part of a body right after reading it.
package connection

import (
	"bytes"
	"context"
	"net"
	"sync"
)

const (
	bufferBytes = 4 << 10 // of net/http's reader; larger reads go to the reader's own memory
	minBytes    = 12      // shorter parts contain no number
)

// MaxRead is the most that a handler may read at once, so that the bytes come through the buffer.
const MaxRead = bufferBytes - 1

type listener struct{ net.Listener }

// Listen returns a listener whose connections can be wiped.
func Listen(l net.Listener) net.Listener { return listener{l} }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

// conn remembers the server's buffer: the memory of the first read that is as long as the buffer.
// The lock is for the server's background read of one byte.
type conn struct {
	net.Conn
	mu     sync.Mutex
	buffer []byte
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == bufferBytes {
		c.mu.Lock()
		c.buffer = p
		c.mu.Unlock()
	}
	return c.Conn.Read(p)
}

// CloseWrite closes the sending side, if the connection can. The server does so after an answer that
// it gives before it has read the whole request; a plain Close could destroy the answer on its way.
func (c *conn) CloseWrite() error { return CloseWrite(c.Conn) }

// CloseWrite closes the sending side of a connection that can do so.
func CloseWrite(c net.Conn) error {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

type key struct{}

// Context returns a context with the connection, for requests on it.
func Context(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// Wipe overwrites part, which the handler has just read, in the buffer of the request's connection.
// It must be called by the goroutine that reads the body. Without a connection that was wrapped it
// does nothing.
func Wipe(ctx context.Context, part []byte) {
	c, ok := ctx.Value(key{}).(*conn)
	if !ok || len(part) < minBytes {
		return
	}
	c.mu.Lock()
	buffer := c.buffer
	c.mu.Unlock()
	// The first occurrence ends where part was read, or before. What is not read yet is behind that,
	// even if it repeats part.
	if at := bytes.Index(buffer, part); at >= 0 {
		clear(buffer[at : at+len(part)])
	}
}
