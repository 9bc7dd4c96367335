package spelling

import "net/netip"

// Lengths of the prefixes that represent an address: the most that a provider gives one
// customer, so that a card tester does not look like many people.
const (
	prefixBits4 = 24
	prefixBits6 = 48
)

// Network returns the network by which an address is counted, such as 203.0.113.0/24; "" if the
// address is unknown.
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
