package rpc

import (
	"log/slog"
	"net/http"
	"time"
)

// Bounds of the internal listener.
const (
	readHeaderTimeout = 5 * time.Second
	serverIdleTimeout = 3 * time.Minute
	maxStreams        = 1000 // calls at once on one connection
)

// HTTP is the internal listener's server: HTTP/2 in the clear, or under TLS when
// there are certificates (serve it with ServeTLS("", "") then; Secured tells).
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
