package rpc

import "context"

// SetLookup replaces the name server.
func (p *Pool) SetLookup(lookup func(ctx context.Context, host string) ([]string, error)) {
	p.lookup = lookup
}

// SetCertificate replaces the folder of certificates, and the check that it names our services.
func (c *Credentials) SetCertificate(dir string) {
	c.tls = &certificates{dir: dir}
	if err := c.tls.load(); err != nil {
		panic(err)
	}
}
