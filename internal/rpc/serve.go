package rpc

import (
	"log/slog"
	"net/http"
	"time"
)

// Limits of the internal listener.
const (
	readHeaderTimeout = 5 * time.Second
	serverIdleTimeout = 3 * time.Minute
	maxStreams        = 1000 // concurrent calls on one connection
)

// HTTP returns the internal listener's server. It speaks HTTP/2 in the clear, or over TLS
// if there are certificates: then, which Secured reports, call ServeTLS("", "").
func (s *Server) HTTP() *http.Server {
	protocols := new(http.Protocols)
	out := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: maxTimeout, IdleTimeout: serverIdleTimeout,
		MaxHeaderBytes: maxHeaderListBytes, Protocols: protocols, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn)}
	if s.Credentials.tls != nil {
		protocols.SetHTTP2(true)
		out.TLSConfig = s.Credentials.tls.server()
		return out
	}
	protocols.SetUnencryptedHTTP2(true)
	return out
}

// Secured reports whether the listener speaks TLS.
func (c *Credentials) Secured() bool { return c.tls != nil }
