package spelling

import "net/netip"

// Lengths of the prefixes that stand for an address: what a provider gives one
// customer at most, so that a card tester does not look like many.
const (
	prefixBits4 = 24
	prefixBits6 = 48
)

// Network returns the network that an address is counted by, such as 203.0.113.0/24; ""
// where the address is not known.
func Network(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	bits := prefixBits6
	switch {
	case !a.IsValid():
		return ""
	case a.Is4():
		bits = prefixBits4
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
