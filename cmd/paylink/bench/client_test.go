//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	answerBytes    = 64 << 10
	requestTimeout = 30 * time.Second
)

// client is one connection that sends one request at a time. It implements only the HTTP/1.1 that
// the server's answers need, so that the load costs little of the measured processor.
type client struct {
	host string
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte
}

func dial(host string) (*client, error) {
	var d net.Dialer
	d.Timeout = requestTimeout
	conn, err := d.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	return &client{host: host, conn: conn, in: bufio.NewReaderSize(conn, 8<<10), body: make([]byte, 0, answerBytes)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

// do sends a request and returns the status and the body; the body is valid until
// the next call. Headers are whole lines, each with its line break.
func (c *client) do(method, path, headers, body string) (int, []byte, error) {
	c.out = append(c.out[:0], method...)
	c.out = append(c.out, ' ')
	c.out = append(c.out, path...)
	c.out = append(c.out, " HTTP/1.1\r\nHost: "...)
	c.out = append(c.out, c.host...)
	c.out = append(c.out, "\r\n"...)
	c.out = append(c.out, headers...)
	if body != "" {
		c.out = append(c.out, "Content-Type: application/json\r\nContent-Length: "...)
		c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
		c.out = append(c.out, "\r\n"...)
	}
	c.out = append(c.out, "\r\n"...)
	c.out = append(c.out, body...)
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return 0, nil, err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return 0, nil, err
	}
	return c.answer()
}

var contentLength = []byte("Content-Length:")

func (c *client) answer() (int, []byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 {
		return 0, nil, fmt.Errorf("status line %q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, nil, err
	}
	length := -1
	for {
		line, err = c.in.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		if len(line) <= 2 {
			break
		}
		if bytes.HasPrefix(line, contentLength) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):]))); err != nil {
				return 0, nil, err
			}
		}
	}
	if length < 0 || length > answerBytes {
		return 0, nil, errors.New("an answer without a usable Content-Length")
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.in, c.body)
	return status, c.body, err
}

// between returns the text after start and before the next end.
func between(b []byte, start, end string) (string, error) {
	_, rest, found := bytes.Cut(b, []byte(start))
	if !found {
		return "", fmt.Errorf("no %q in the answer", start)
	}
	text, _, found := bytes.Cut(rest, []byte(end))
	if !found {
		return "", fmt.Errorf("nothing ends %q in the answer", start)
	}
	return string(text), nil
}
