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

// VerifyReceipt reports offline whether a receipt is of this installation, and prints its contents.
// It checks against published keys (a JWKS file), or the data folder's. The receipt is given as
// text or as the address in an email. It returns ErrNotOurReceipt if it is not ours.
func VerifyReceipt(cfg Config, raw, jwks string, out io.Writer) error {
	// People paste a receipt, or the address in their email.
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
	// Every failure gives the same answer.
	s, err := receipt.Verify(keys, token)
	if err != nil {
		return ErrNotOurReceipt
	}

	// Only what the receipt states is printed; empty fields are left out.
	lines := [][2]string{{"payment", s.Payment}, {"status", s.Status}, {"amount", s.Amount.String()}, {"captured", s.Captured.String()},
		{
			"refunded",
			refunded(s.Refunded),
		}, {"paid to", s.Payee}, {"reference", s.Reference}, {"card", s.Card}, {"link", s.Link}, {"form", s.Form},
		{
			"mode",
			s.Mode,
		}, {"made by", s.Issuer}, {"for", s.Audience}, {"paid at", s.CreatedAt.Format(time.RFC3339)}, {"stated at", s.At.Format(time.RFC3339)}}

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

// refunded returns the refunded amount, or "" for zero, which is not printed.
func refunded(a money.Amount) string {
	if a.Zero() {
		return ""
	}
	return a.String()
}

// printable replaces control characters, so that text from users cannot control the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, s)
}

// receiptKeys returns the published keys in a JWKS file or, without one, the data folder's.
func receiptKeys(cfg Config, jwks string) (receipt.Keys, error) {
	if jwks == "" {
		return openKeys(cfg)
	}
	file, err := os.ReadFile(jwks)
	if err != nil {
		return nil, err
	}
	return keyring.ParseJWKS(file)
}
