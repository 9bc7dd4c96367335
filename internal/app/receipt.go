package app

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/receipt"
)

// ErrNotOurReceipt is returned by VerifyReceipt for anything that is not a receipt of this
// installation.
var ErrNotOurReceipt = errors.New("this receipt is invalid or was altered")

// VerifyReceipt reports offline whether a receipt is of this installation, and prints its
// contents. It checks against published keys, or the data folder's. The receipt is given as text
// or as the address in an email.
func VerifyReceipt(cfg Config, raw, jwks string, out io.Writer) error {
	token := strings.TrimSpace(raw)
	if meant := link.Pasted(raw); len(meant) > 0 {
		token = meant[0]
	}
	if u, err := url.Parse(token); err == nil && u.Host != "" {
		token = u.Query().Get("receipt")
	}
	keys, err := receiptKeys(cfg, jwks)
	if err != nil {
		return err
	}
	s, err := receipt.Verify(keys, token)
	if err != nil {
		return ErrNotOurReceipt
	}
	lines := [][2]string{{"payment", s.Payment}, {"status", s.Status}, {"amount", s.Amount.String()}, {"captured", s.Captured.String()},
		{"refunded", refunded(s.Refunded)}, {"paid to", s.Payee}, {"reference", s.Reference}, {"card", s.Card}, {"link", s.Link}, {"form", s.Form},
		{"mode", s.Mode}, {"made by", s.Issuer}, {"for", s.Audience}, {"paid at", s.CreatedAt.Format(time.RFC3339)}, {"stated at", s.At.Format(time.RFC3339)}}
	if _, err := fmt.Fprintf(out, "authentic, signed by key %s\n", s.KeyID); err != nil {
		return err
	}
	for _, l := range lines {
		if l[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(out, "%-10s %s\n", l[0], printable(l[1])); err != nil {
			return err
		}
	}
	return nil
}

func refunded(a money.Amount) string {
	if a.Zero() {
		return ""
	}
	return a.String()
}

// printable keeps text from users from controlling the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, s)
}

func receiptKeys(cfg Config, jwks string) (receipt.Keys, error) {
	if jwks == "" {
		return openKeys(cfg)
	}
	file, err := os.ReadFile(jwks) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	return keyring.ParseJWKS(file)
}
