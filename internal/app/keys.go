package app

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
)

// ErrNotOurs is returned by VerifyLink for anything that is not a link of this installation.
var ErrNotOurs = errors.New("this link is invalid or was altered")

// ListKeys prints the public keys as a JWKS, as /.well-known/jwks.json serves them.
func ListKeys(cfg Config, out io.Writer) error {
	ring, err := openKeys(cfg)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", ring.JWKS())
	return err
}

// openKeys opens existing keys. A tool must not create new ones in a wrong folder.
func openKeys(cfg Config) (*keyring.Ring, error) {
	if _, err := os.Stat(cfg.keysDir()); err != nil {
		return nil, fmt.Errorf("no keys: %w", err)
	}
	return keyring.Open(cfg.keysDir(), time.Now())
}

// CreateKeys creates the whole key ring in an empty folder, and adds what is missing in one of an
// earlier version. If nothing is missing, it returns an error. A split deployment runs it at its
// start and on upgrade, because its processes never create keys.
func CreateKeys(cfg Config, out io.Writer) error {
	if _, err := os.Stat(filepath.Join(cfg.keysDir(), "keys.json")); err == nil {
		return completeKeys(cfg, out)
	}

	if _, err := keyring.Open(cfg.keysDir(), time.Now()); err != nil {
		return err
	}
	_, err := fmt.Fprintf(
		out,
		"created the keys in %s; keep them where no service reads them, and export each service its share\n",
		cfg.keysDir(),
	)
	return err
}

// completeKeys adds the keys of purposes that the ring lacks. The targets that need them must get
// their shares again.
func completeKeys(cfg Config, out io.Writer) error {
	missing, err := keyring.Missing(cfg.keysDir())
	if err != nil {
		return err
	}

	if len(missing) == 0 {
		return fmt.Errorf("%s already has keys", cfg.keysDir())
	}

	if _, err := keyring.Open(cfg.keysDir(), time.Now()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "added %v to the keys in %s; export them to each target again\n", missing, cfg.keysDir())
	return err
}

// ExportKeys writes the targets' share of the keys into a separate folder, and prints what each
// share holds. A target without keys is an error.
func ExportKeys(cfg Config, targets []string, dir string, out io.Writer) error {
	if err := knownTargets(targets); err != nil {
		return err
	}

	share := shares(targets)
	if len(share) == 0 {
		return fmt.Errorf("%s needs no keys", strings.Join(targets, ", "))
	}
	if err := keyring.Export(cfg.keysDir(), dir, share); err != nil {
		return err
	}

	for _, s := range share {
		if _, err := fmt.Fprintf(out, "%s: %s\n", strings.Join(targets, ","), s); err != nil {
			return err
		}
	}

	return nil
}

// RotateKeys creates new keys, which a running server loads by itself. The keys wait for rest
// before they are used, so that every process knows them by then. The empty purpose rotates all
// purposes that can be rotated.
func RotateKeys(cfg Config, purpose string, rest time.Duration, out io.Writer) error {
	if _, err := openKeys(cfg); err != nil {
		return err
	}

	// Keys for hashes never change: what was hashed could not be found again.
	purposes := slices.DeleteFunc(slices.Clone(keyring.Purposes), func(p keyring.Purpose) bool { return !p.Rotates() })
	if purpose != "" {
		purposes = []keyring.Purpose{keyring.Purpose(purpose)}
	}

	for _, p := range purposes {
		kid, err := keyring.RotateIn(cfg.keysDir(), p, time.Now(), rest)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s: new key %s, in use in %s\n", p, keyring.FormatKeyID(kid), rest); err != nil {
			return err
		}
	}

	return nil
}

// RevokeKey invalidates a key, for good. A running server learns of it within seconds. What was
// signed or sealed with the key is refused from then on.
func RevokeKey(cfg Config, key string, out io.Writer) error {
	kid, ok := keyring.ParseKeyID(key)
	if !ok {
		return fmt.Errorf("key %q: want 8 hexadecimal digits", key)
	}

	if err := keyring.Revoke(cfg.keysDir(), kid, time.Now()); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s is revoked\n", key)
	return err
}

// VerifyLink reports offline whether a link is of this installation. It checks against published
// keys, which prove who signed it, or the data folder's keys, which also open it. It returns
// ErrNotOurs if it is not. raw may be the token, the address, or text around it. Whether the link
// was paid or canceled is not checked.
func VerifyLink(cfg Config, raw, jwks string, out io.Writer) error {
	// People paste an address, a token, or a message with an address in it.
	token := strings.TrimSpace(raw)
	if meant := link.Pasted(raw); len(meant) > 0 {
		token = meant[0]
	}

	if u, err := url.Parse(token); err == nil && u.Host != "" {
		_, token, _ = strings.Cut(u.Path, "/l/")
		token = strings.TrimSuffix(token, "/")
	}

	// Published keys prove the signature and cannot open the claims.
	if jwks != "" {
		file, err := os.ReadFile(jwks)
		if err != nil {
			return err
		}
		keys, err := keyring.ParseJWKS(file)
		if err != nil {
			return err
		}

		kid, err := link.VerifySignature(keys, token)
		if err != nil {
			return ErrNotOurs
		}
		_, err = fmt.Fprintf(out, "authentic, signed by key %s\n", keyring.FormatKeyID(kid))
		return err
	}

	ring, err := openKeys(cfg)
	if err != nil {
		return err
	}
	// Every failure gives the same answer, as in the server.
	claims, err := link.Opener{Ring: ring}.Open(token)
	if err != nil {
		return ErrNotOurs
	}

	state := "expires"
	if !time.Now().Before(claims.ExpiresAt) {
		state = "expired"
	}
	_, err = fmt.Fprintf(out, "authentic, %s %s\n", state, claims.ExpiresAt.UTC().Format(time.RFC3339))
	return err
}
