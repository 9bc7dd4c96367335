package payment

import (
	"bytes"
	"regexp"
	"slices"

	"github.com/paylink/paylink/internal/issuer"
)

// An earlier version stored a keyed hash of the number, 32 hexadecimal digits, as the card's
// fingerprint. Beside the first and last digits it gave the number back to anyone with the key.
// The functions below replace it by the fingerprint of the stored digits, whose bucket is unknown.
// They leave everything else as it is, so they may see the same data again.

// oldCard matches the card of an event of the earlier version, as CardObject is encoded. Members of
// metadata are sorted by name, so they never have this order.
var oldCard = regexp.MustCompile(`"last4":"([0-9]{4})","bin":"([0-9]{6})","fingerprint":"([0-9a-f]{32})"`)

// oldFingerprint matches a fingerprint of the earlier version.
var oldFingerprint = regexp.MustCompile(`^[0-9a-f]{32}$`)

// IsOldFingerprint reports whether a text has the form of an earlier version's fingerprint.
func IsOldFingerprint(s string) bool { return oldFingerprint.MatchString(s) }

// Coarsen replaces an earlier version's fingerprint in a payment, also where a rule saw it.
func Coarsen(p *Payment) {
	old := p.Risk.Fingerprint
	if !IsOldFingerprint(old) {
		return
	}
	p.Risk.Fingerprint = issuer.FingerprintOf(p.Risk.BIN, p.CardLast4)
	p.Risk.Values = slices.Clone(p.Risk.Values)
	for i, v := range p.Risk.Values {
		if v.Value == old {
			p.Risk.Values[i].Value = p.Risk.Fingerprint
		}
	}
}

// CoarsenEvent replaces an earlier version's fingerprint in the data of an event, wherever it
// occurs, and returns both fingerprints. If there is none, it returns data and empty texts.
func CoarsenEvent(data []byte) (coarse []byte, old, now string) {
	card := oldCard.FindSubmatch(data)
	if card == nil {
		return data, "", ""
	}
	old, now = string(card[3]), issuer.FingerprintOf(string(card[2]), string(card[1]))
	return bytes.ReplaceAll(data, []byte(`"`+old+`"`), []byte(`"`+now+`"`)), old, now
}
