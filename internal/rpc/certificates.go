package rpc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Limits of certificates.
const (
	authorityLife    = 10 * 365 * 24 * time.Hour
	minCertificate   = time.Hour
	maxCertificate   = 825 * 24 * time.Hour
	certificateEarly = time.Hour // for machines whose clock is behind
)

// authorityDir is the folder with the authority's certificate and key.
const authorityDir = "authority"

// authority issues the certificates of one installation.
type authority struct {
	certificate *x509.Certificate
	pem         []byte
	key         crypto.Signer
}

// MakeCertificates writes a folder with tls.crt, tls.key and ca.crt for each service under dir.
// They are valid for life, for client and server, for the given hosts (names or addresses), and
// name the service. The authority in dir/authority is created if there is none. Every call issues
// all certificates again, so that is how they are renewed; files are replaced one by one.
func MakeCertificates(dir string, services []string, hosts func(service string) []string, life time.Duration, now time.Time) error {
	if life < minCertificate || life > maxCertificate {
		return fmt.Errorf("a certificate must be valid for %s to %s", minCertificate, maxCertificate)
	}
	a, err := openAuthority(filepath.Join(dir, authorityDir), now)
	if err != nil {
		return err
	}
	end := now.Add(life)
	if a.certificate.NotAfter.Before(end) {
		return fmt.Errorf("the authority in %s ends on %s, before the certificates would; replace it",
			filepath.Join(dir, authorityDir), a.certificate.NotAfter.Format(time.DateOnly))
	}
	for _, service := range services {
		if err := a.issue(filepath.Join(dir, service), service, hosts(service), now, end); err != nil {
			return err
		}
	}
	return nil
}

// openAuthority reads the authority of a folder, or creates one. It returns an error if only a
// part of it is there.
func openAuthority(dir string, now time.Time) (*authority, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, caFile), filepath.Join(dir, "ca.key"))
	if errors.Is(err, fs.ErrNotExist) {
		if _, keyErr := os.Lstat(filepath.Join(dir, "ca.key")); keyErr == nil {
			return nil, fmt.Errorf("internal authority: %w", err)
		}
		return newAuthority(dir, now)
	}
	if err != nil {
		return nil, fmt.Errorf("internal authority: %w", err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("internal authority: %s is no certificate of an authority", filepath.Join(dir, caFile))
	}
	return &authority{pair.Leaf, pemOf("CERTIFICATE", pair.Leaf.Raw), key}, nil
}

// newAuthority creates an authority in a folder, the key first: a crash in between leaves a key
// that openAuthority reports.
func newAuthority(dir string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := newTemplate("paylink internal authority", now, now.Add(authorityLife))
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &authority{certificate, pemOf("CERTIFICATE", der), key}
	return a, errors.Join(writeKey(filepath.Join(dir, "ca.key"), key), replaceFile(filepath.Join(dir, caFile), a.pem))
}

// issue writes the certificate of a service into a folder.
func (a *authority) issue(dir, service string, hosts []string, now, end time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template, err := newTemplate("paylink "+service, now, end)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.URIs = []*url.URL{serviceURI(service)}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", service, err)
	}
	return errors.Join(replaceFile(filepath.Join(dir, caFile), a.pem), writeKey(filepath.Join(dir, keyFile), key),
		replaceFile(filepath.Join(dir, certFile), pemOf("CERTIFICATE", der)))
}

// newTemplate returns what all certificates have in common.
func newTemplate(name string, now, end time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-certificateEarly), NotAfter: end}, nil
}

// writeKey writes a private key that only its owner can read.
func writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return replaceFile(file, pemOf("PRIVATE KEY", der))
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
