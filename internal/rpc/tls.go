package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
)

// The files of a folder of certificates, named as Kubernetes names them.
const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
	caFile   = "ca.crt"
)

// certificates holds our certificate and the authority that must have issued the others'.
type certificates struct {
	dir string
	now atomic.Pointer[identity]
}

// identity is what one reading of the files gave.
type identity struct {
	own   tls.Certificate
	trust *x509.CertPool
}

// load reads the three files and replaces the identity. On an error the old one stays.
// Connections that exist keep theirs.
func (c *certificates) load() error {
	own, err := tls.LoadX509KeyPair(filepath.Join(c.dir, certFile), filepath.Join(c.dir, keyFile))
	if err != nil {
		return fmt.Errorf("internal certificate: %w", err)
	}
	authority, err := os.ReadFile(filepath.Join(c.dir, caFile))
	if err != nil {
		return fmt.Errorf("internal authority: %w", err)
	}
	trust := x509.NewCertPool()
	if !trust.AppendCertsFromPEM(authority) {
		return fmt.Errorf("internal authority: %s holds no certificate", caFile)
	}
	c.now.Store(&identity{own: own, trust: trust})
	return nil
}

// server returns a configuration that requires a certificate of the authority from every caller.
func (c *certificates) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			id := c.now.Load()
			return &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{id.own},
				ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: id.trust}, nil
		},
	}
}

// dial connects to an address, and verifies that the other end's certificate is for the name.
func (c *certificates) dial(ctx context.Context, dialer *net.Dialer, address, name string) (net.Conn, error) {
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	id := c.now.Load()
	secured := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, ServerName: name,
		RootCAs: id.trust, Certificates: []tls.Certificate{id.own}})
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secured, nil
}
