package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/paylink/paylink/internal/keyring"
)

// keysFile is the key ring in a backup, encrypted with age to the operator's recipients.
const keysFile = "keys.age"

// ageRecipients parses the public keys of recipients, age1….
func ageRecipients(keys []string) ([]age.Recipient, error) {
	var all []age.Recipient
	for _, k := range keys {
		r, err := age.ParseX25519Recipient(k)
		if err != nil {
			return nil, fmt.Errorf("--keys-for %q: want the public key of an age identity, age1…, as age-keygen prints it", k)
		}
		all = append(all, r)
	}
	return all, nil
}

// encryptKeys writes the key ring's file, as it is, to a new file that only the recipients can read.
// A sealed ring stays sealed inside.
func encryptKeys(keysDir, to string, readers []age.Recipient) (err error) {
	raw, err := keyring.In(keysDir).Raw()
	if err != nil {
		return err
	}
	defer clear(raw)
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w, err := age.Encrypt(out, readers...)
	if err != nil {
		return err
	}
	if _, err := w.Write(raw); err != nil {
		return err
	}
	return w.Close()
}

// RestoreKeys decrypts the keys of a backup with an age identity, which identity names the file of,
// and writes them where the configuration says. It never replaces keys.
func RestoreKeys(cfg Config, backup, identity string, out io.Writer) error {
	file, err := os.Open(identity)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	ids, err := age.ParseIdentities(file)
	if err != nil {
		return fmt.Errorf("--identity %s: %w", identity, err)
	}

	in, err := os.Open(backup)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	r, err := age.Decrypt(in, ids...)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(backup), err)
	}
	raw, err := io.ReadAll(io.LimitReader(r, keyring.MaxFileBytes))
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(backup), err)
	}
	defer clear(raw)
	if err := keyring.In(cfg.keysDir()).PutRaw(raw); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "restored the keys to %s\n", cfg.keysDir())
	return err
}
