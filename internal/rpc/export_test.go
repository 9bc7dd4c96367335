package rpc

import "context"

// SetLookup replaces the name server.
func (p *Pool) SetLookup(lookup func(ctx context.Context, host string) ([]string, error)) {
	p.lookup = lookup
}
