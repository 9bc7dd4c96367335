package app

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/keyring/kek"
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
	folder, err := cfg.keys()
	if err != nil {
		return nil, err
	}
	return folder.Open(time.Now())
}

// CreateKeys creates the whole key ring in an empty folder, and adds what is missing in one of an
// earlier version. If nothing is missing, it returns an error. A split deployment runs it at its
// start and on upgrade, because its processes never create keys.
func CreateKeys(cfg Config, out io.Writer) error {
	folder, err := cfg.keys()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(cfg.keysDir(), "keys.json")); err == nil {
		return completeKeys(folder, out)
	}

	if _, err := folder.Open(time.Now()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(
		out,
		"created the keys in %s; keep them where no service reads them, and export each service its share\n",
		cfg.keysDir(),
	)
	return err
}

// completeKeys adds the keys of purposes that the ring lacks. The targets that need them must get
// their shares again.
func completeKeys(folder keyring.Folder, out io.Writer) error {
	missing, err := folder.Missing()
	if err != nil {
		return err
	}

	if len(missing) == 0 {
		return fmt.Errorf("%s already has keys", folder.Path)
	}

	if _, err := folder.Open(time.Now()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "added %v to the keys in %s; export them to each target again\n", missing, folder.Path)
	return err
}

// ExportKeys writes the targets' share of the keys into a separate folder, sealed under the
// key-encryption key that under names, if any, and prints what each share holds. A target without
// keys is an error.
func ExportKeys(cfg Config, targets []string, dir, under string, out io.Writer) error {
	if err := knownTargets(targets); err != nil {
		return err
	}

	share := shares(targets)
	if len(share) == 0 {
		return fmt.Errorf("%s needs no keys", strings.Join(targets, ", "))
	}
	folder, err := cfg.keys()
	if err != nil {
		return err
	}
	sealer, err := kekOf(under)
	if err != nil {
		return fmt.Errorf("--seal-under %w", err)
	}
	if err := folder.Export(keyring.Folder{Path: dir, KEK: sealer}, share); err != nil {
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
// of them.
func RotateKeys(cfg Config, purpose string, rest time.Duration, out io.Writer) error {
	if _, err := openKeys(cfg); err != nil {
		return err
	}
	folder, err := cfg.keys()
	if err != nil {
		return err
	}

	purposes := keyring.Purposes
	if purpose != "" {
		purposes = []keyring.Purpose{keyring.Purpose(purpose)}
	}

	for _, p := range purposes {
		kid, err := folder.RotateIn(p, time.Now(), rest)
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

	folder, err := cfg.keys()
	if err != nil {
		return err
	}
	if err := folder.Revoke(kid, time.Now()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s is revoked\n", key)
	return err
}

// CreateKEK writes a new key-encryption key to a file, which must not exist.
func CreateKEK(path string, out io.Writer) error {
	if err := kek.File(path).Create(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "wrote a key-encryption key to %s; keep it on other media than the keys, and a copy of it: "+
		"without it, the keys that it seals are lost\n", path)
	return err
}

// SealKeys seals the folder's keys under the configured key-encryption key. from names the one that
// they are sealed under now; empty: they are plain.
func SealKeys(cfg Config, from string, out io.Writer) error {
	to, err := cfg.keys()
	if err != nil {
		return err
	}
	if to.KEK == nil {
		return errors.New("--key-encryption-key: say under which key to seal; want " + kek.Form)
	}
	now, err := kekOf(from)
	if err != nil {
		return fmt.Errorf("--from %w", err)
	}
	if err := (keyring.Folder{Path: to.Path, KEK: now}).Reseal(to.KEK); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "sealed the keys in %s; restart what uses them with --key-encryption-key, and destroy plain copies\n", to.Path)
	return err
}

// UnsealKeys writes the folder's keys as a plain file, which a version from before sealing reads.
func UnsealKeys(cfg Config, out io.Writer) error {
	folder, err := cfg.keys()
	if err != nil {
		return err
	}
	if folder.KEK == nil {
		return errors.New("--key-encryption-key: say which key the keys are sealed under; want " + kek.Form)
	}
	if err := folder.Reseal(nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "the keys in %s are plain now; restart what uses them without --key-encryption-key\n", folder.Path)
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
