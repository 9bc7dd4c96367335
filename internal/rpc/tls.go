package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// The files of a folder of certificates, named as Kubernetes names them.
const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
	caFile   = "ca.crt"
)

// A certificate names its services in URIs: spiffe://paylink/NAME.
const (
	uriScheme = "spiffe"
	uriDomain = "paylink"
)

// certificates holds our certificate and the authority that must have issued the others'.
type certificates struct {
	dir      string
	services []string // that our certificate must name
	now      atomic.Pointer[identity]
}

// identity is what one reading of the files gave.
type identity struct {
	own   tls.Certificate
	trust *x509.CertPool
}

// serviceURI returns the URI by which a certificate names a service.
func serviceURI(service string) *url.URL {
	return &url.URL{Scheme: uriScheme, Host: uriDomain, Path: "/" + service}
}

// servicesIn returns the services that a certificate names.
func servicesIn(c *x509.Certificate) (all []string) {
	for _, u := range c.URIs {
		if name, ok := strings.CutPrefix(u.Path, "/"); ok && u.Scheme == uriScheme && u.Host == uriDomain {
			all = append(all, name)
		}
	}
	return all
}

// CertificateEnds returns when this process's certificate expires, or false if it has none.
func (c *Credentials) CertificateEnds() (time.Time, bool) {
	if c.tls == nil {
		return time.Time{}, false
	}
	return c.tls.now.Load().own.Leaf.NotAfter, true
}

// load reads the three files and replaces the identity. On an error, or if the certificate does
// not name our services, the old one stays. Connections that exist keep theirs.
func (c *certificates) load() error {
	own, err := tls.LoadX509KeyPair(filepath.Join(c.dir, certFile), filepath.Join(c.dir, keyFile))
	if err != nil {
		return fmt.Errorf("internal certificate: %w", err)
	}
	for _, service := range c.services {
		if !slices.Contains(servicesIn(own.Leaf), service) {
			return fmt.Errorf("internal certificate: %s does not name the service %s (URI %s); paylink certificates makes one that does",
				filepath.Join(c.dir, certFile), service, serviceURI(service))
		}
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

// dial connects to an address, and verifies that the other end's certificate is for the host and
// names the service.
func (c *certificates) dial(ctx context.Context, dialer *net.Dialer, address, host, service string) (net.Conn, error) {
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	id := c.now.Load()
	secured := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, ServerName: host,
		RootCAs: id.trust, Certificates: []tls.Certificate{id.own}, VerifyConnection: func(state tls.ConnectionState) error {
			if !slices.Contains(servicesIn(state.PeerCertificates[0]), service) {
				return fmt.Errorf("the certificate of %s does not name the service %s", address, service)
			}
			return nil
		}})
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secured, nil
}
