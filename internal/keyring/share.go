package keyring

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Share is what one service holds of a purpose: its keys, or only the public ones.
type Share struct {
	Purpose    Purpose `json:"purpose"`
	VerifyOnly bool    `json:"verifyOnly,omitempty"` // public keys; only for signing purposes
}

// String returns the share for messages.
func (s Share) String() string {
	if s.VerifyOnly {
		return string(s.Purpose) + " (public)"
	}
	return string(s.Purpose)
}

// check returns an error if the share's purpose is unknown, or if it has no public keys.
func (s Share) check() error {
	if s.Purpose.kind() == 0 || (s.VerifyOnly && s.Purpose.kind() != kindSign) {
		return fmt.Errorf("keyring: unknown share %s", s)
	}
	return nil
}

// OpenShare opens only the keys of a folder that a service needs. It keeps no others in memory,
// even if the folder has all of them. The folder holds the whole ring or what Export wrote.
// OpenShare never makes or writes a key: if two services each made keys, neither could read what
// the other wrote. A share that the folder lacks is an error. Without shares it needs no folder.
func (d Folder) OpenShare(shares []Share, now time.Time) (*Ring, error) {
	r := newRing(d, now)
	r.shares = slices.Clone(shares)
	if len(shares) == 0 { // a service without keys needs no file
		r.folder = Folder{}
		s, err := (&file{Shares: []Share{}}).set()
		r.keys.Store(s)
		return r, err
	}

	f, raw, err := d.read()
	if err != nil {
		return nil, err
	}

	s, err := r.setOf(f)
	if err != nil {
		return nil, err
	}
	if f.outdated {
		slog.Warn("keys.json contains the key card-mac of an earlier version, which is not used: export the keys again")
	}
	r.keys.Store(s)
	r.raw.Store(&raw)
	return r, nil
}

// setOf returns the part of the file that this ring may hold.
func (r *Ring) setOf(f *file) (*set, error) {
	if r.shares != nil {
		var err error
		if f, err = f.narrow(r.shares); err != nil {
			return nil, err
		}
	}
	return f.set()
}

// Export writes the shares of the folder's keys into a file of its own, in a folder that has no
// keys of another kind: for a service on another machine. Export again after each rotation; a
// running service loads the new file by itself. It never overwrites a whole ring. Keys that the
// ring lacks, because an earlier version made it, are added to the ring first, and those that no
// longer exist are removed from it.
func (d Folder) Export(to Folder, shares []Share) error {
	if len(shares) == 0 {
		return errors.New("keyring: nothing to export: this service has no keys")
	}

	f, _, err := d.read()
	if err == nil && f.Shares != nil {
		return errors.New("keyring: this folder is itself an export; export from the whole ring")
	}
	if err == nil && (f.outdated || !f.whole()) { // written by a version that knew other purposes
		now := time.Now()
		f, _, err = d.change(func(f *file) error { f.complete(now); return nil })
	}
	if err != nil {
		return err
	}

	switch old, _, err := to.read(); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case old.Shares == nil:
		return fmt.Errorf("keyring: %s holds a whole ring, which an export would destroy", to.Path)
	}

	part, err := f.narrow(shares)
	if err != nil {
		return err
	}
	if _, err := part.set(); err != nil {
		return err
	}

	raw, err := to.encode(part)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Clean(to.Path), 0o700); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	return to.write(raw)
}

// narrow returns the part of the file that the shares name, without the secrets of those that only
// verify. It returns an error if the file has less than that.
func (f *file) narrow(shares []Share) (*file, error) {
	part := &file{Version: f.Version, Shares: slices.Clone(shares)}
	for _, s := range shares {
		if err := s.check(); err != nil {
			return nil, err
		}
		if !f.holds(s) {
			return nil, fmt.Errorf("keyring: the file lacks %s; export it from the whole ring", s)
		}
		if f.Shares == nil && !f.hasKey(s.Purpose) {
			return nil, fmt.Errorf("keyring: the ring is of an earlier version and lacks %s; paylink keys create adds what is missing", s)
		}
	}

	for _, e := range f.Keys {
		i := slices.IndexFunc(shares, func(s Share) bool { return s.Purpose == e.Purpose })
		if i < 0 {
			continue
		}
		if shares[i].VerifyOnly {
			e = e.publicPart()
		}
		part.Keys = append(part.Keys, e)
	}

	return part, nil
}

// holds reports whether the file has as much of a purpose as the share asks for.
func (f *file) holds(s Share) bool {
	if f.Shares == nil {
		return true
	}
	return slices.ContainsFunc(f.Shares, func(h Share) bool { return h.Purpose == s.Purpose && (!h.VerifyOnly || s.VerifyOnly) })
}

// publicPart returns the entry without its secret. An entry that has none is returned as it is.
func (e entry) publicPart() entry {
	if len(e.Secret) == secretBytes {
		private := ed25519.NewKeyFromSeed(e.Secret)
		e.Public, e.Secret = append([]byte(nil), private[32:]...), nil
		e.Check = e.check()
	}
	return e
}
