package connection

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// TestCloseWrite checks that the sending side of a wrapped connection can be closed alone, as the HTTP
// server does.
func TestCloseWrite(t *testing.T) {
	plain, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	on := Listen(plain)
	defer func() { _ = on.Close() }()
	near, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", on.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = near.Close() }()
	far, err := on.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = far.Close() }()
	if err := far.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := near.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the near side reads %d, %v", n, err)
	}
	if _, err := near.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := far.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("the far side reads %d, %v", n, err)
	}
}

// TestWipe checks that only what was read is overwritten, also if what follows repeats it.
func TestWipe(t *testing.T) {
	secret := "4242424242424242"
	for _, c := range []struct{ buffer, part, left string }{
		{"head number=" + secret + " tail", "number=" + secret, "head " + strings.Repeat("\x00", 23) + " tail"},
		{secret + secret, secret, strings.Repeat("\x00", 16) + secret},
		{"head", secret, "head"},
		{secret, secret[:minBytes-1], secret},
		{"", secret, ""},
	} {
		k := &conn{buffer: []byte(c.buffer)}
		Wipe(Context(t.Context(), k), []byte(c.part))
		if string(k.buffer) != c.left {
			t.Errorf("%q without %q is %q", c.buffer, c.part, k.buffer)
		}
	}
	Wipe(context.Background(), []byte(secret)) // a request of no connection of ours
}
