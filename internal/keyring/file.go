package keyring

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// The file's name, its lock, and limits of its content.
const (
	fileName     = "keys.json"
	lockName     = "keys.lock"
	fileVersion  = 1
	secretBytes  = 32      // of every kind of key
	MaxFileBytes = 1 << 20 // of a file of secrets; a larger one is refused
)

// file is keys.json, as it is stored.
type file struct {
	Version int     `json:"version"`
	Shares  []Share `json:"shares,omitempty"` // an export holds these; nil: the whole ring
	Keys    []entry `json:"keys"`

	outdated bool // it contained cardMAC when it was read
}

// entry is a key as it is stored. Secret or Public is set, not both. A revoked key stays in the
// file, so that its id is never used again.
type entry struct {
	ID        string    `json:"id"`
	Purpose   Purpose   `json:"purpose"`
	Secret    []byte    `json:"secret,omitempty"` // Ed25519 seed, or the symmetric key
	Public    []byte    `json:"public,omitempty"` // instead of the secret, if verifying is enough
	Check     string    `json:"check"`            // of the secret, so that a flipped bit is detected
	CreatedAt time.Time `json:"createdAt"`
	ActiveAt  time.Time `json:"activeAt"`
	RetiredAt time.Time `json:"retiredAt,omitzero"` // when its successor became active
	RevokedAt time.Time `json:"revokedAt,omitzero"`
}

// check returns the checksum of the key with its purpose and id, in hexadecimal.
func (e entry) check() string {
	sum := sha256.Sum256(slices.Concat([]byte("paylink key\x00"+string(e.Purpose)+"\x00"+e.ID+"\x00"), e.Secret, e.Public))
	return hex.EncodeToString(sum[:8])
}

// Folder is where keys are kept. With a KEK, its file is sealed under that key; without one it is
// plain.
type Folder struct {
	Path string
	KEK  Wrapper
}

// In returns the folder of plain keys at a path.
func In(path string) Folder { return Folder{Path: path} }

// Open reads the whole ring of a folder, and makes the folder, the file and the missing keys. Many
// processes may do so at once, and make one file. It writes nothing if nothing is missing, so the
// folder may be read-only. It removes the keys of purposes that no longer exist, if it can. It
// refuses a damaged file and never replaces it. It also refuses an export, which is not the whole
// ring.
func (d Folder) Open(now time.Time) (*Ring, error) {
	r := newRing(d, now)
	f, raw, err := d.read()
	if err == nil && f.Shares != nil {
		return nil, errors.New("keyring: the folder contains one service's export, not the whole ring")
	}
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !f.whole()) {
		f, raw, err = d.change(func(f *file) error { f.complete(now); return nil })
	}
	if err != nil {
		return nil, err
	}
	if f.outdated {
		if clean, without, err := d.change(func(*file) error { return nil }); err != nil {
			slog.Warn("keys.json contains the key card-mac of an earlier version and cannot be rewritten without it", "error", err)
		} else {
			f, raw = clean, without
		}
	}

	s, err := r.setOf(f)
	if err != nil {
		return nil, err
	}
	r.keys.Store(s)
	r.raw.Store(&raw)
	return r, nil
}

// Exists reports whether the folder has a file with keys, whatever is in it.
func (d Folder) Exists() bool {
	_, err := os.Lstat(filepath.Join(d.Path, fileName))
	return err == nil
}

// Destroy removes the keys of purposes that no longer exist from the whole ring of a folder,
// durably, and reports whether there were any. It leaves a missing file and an export alone.
func (d Folder) Destroy() (bool, error) {
	f, _, err := d.read()
	if errors.Is(err, fs.ErrNotExist) || err == nil && (f.Shares != nil || !f.outdated) {
		return false, nil
	}
	if err == nil {
		_, _, err = d.change(func(f *file) error { f.complete(time.Now()); return nil })
	}
	return err == nil, err
}

// Missing returns the purposes that the whole ring of a folder has no key for: those of a later
// version than the one that made it. Open adds them.
func (d Folder) Missing() ([]Purpose, error) {
	f, _, err := d.read()
	if err != nil || f.Shares != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(Purposes), f.hasKey), nil
}

// Reload reads the file again, and replaces all keys at once if it has changed. After an error the
// keys in memory stay in use.
func (r *Ring) Reload() error {
	if r.folder.Path == "" {
		return nil
	}
	raw, err := r.folder.Raw()
	if err != nil {
		return err
	}
	if last := r.raw.Load(); last != nil && bytes.Equal(*last, raw) {
		return nil
	}

	f, err := r.folder.decode(raw)
	if err != nil {
		return err
	}
	s, err := r.setOf(f)
	if err != nil {
		return err
	}
	r.keys.Store(s)
	r.raw.Store(&raw)
	return nil
}

// Watch reloads whenever the file has changed, until ctx ends (nil), and calls looked after each
// look. It reports a file that can't be read and tries again: the keys in memory stay in use.
func (r *Ring) Watch(ctx context.Context, interval time.Duration, looked func(context.Context)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := r.Reload(); err != nil {
				slog.WarnContext(ctx, "the keys cannot be reloaded; the old ones stay in use", "error", err)
			}
			looked(ctx)
		}
	}
}

// Rotate adds a key that becomes active ActivateAfter now, and drops the keys under which nothing
// can be valid any more. It returns the id of the new key.
func (d Folder) Rotate(p Purpose, now time.Time) (kid uint32, err error) {
	return d.RotateIn(p, now, ActivateAfter)
}

// RotateIn is Rotate with a longer rest before the key becomes active. If each service has an
// export of its own, the rest must last until all of them have been written again.
func (d Folder) RotateIn(p Purpose, now time.Time, rest time.Duration) (kid uint32, err error) {
	if rest < ActivateAfter || rest > MaxRest {
		return 0, fmt.Errorf("keyring: a new key must rest for %s to %s", ActivateAfter, MaxRest)
	}

	if p.kind() == 0 {
		return 0, fmt.Errorf("keyring: unknown purpose %q; the purposes are %v", p, Purposes)
	}

	_, _, err = d.change(func(f *file) error {
		f.complete(now)
		f.retire(p, now.Add(rest))
		kid = f.add(p, now, now.Add(rest))
		f.drop(now)
		return nil
	})
	return kid, err
}

// Revoke makes a key verify nothing and leave the JWKS, as soon as each instance has reloaded. If
// it was the active one, a new one replaces it at once, so instances that have not reloaded refuse
// what is signed with the new key until they do. It fails for keys that stored data depends on;
// rotate them.
func (d Folder) Revoke(kid uint32, now time.Time) error {
	_, _, err := d.change(func(f *file) error {
		i := slices.IndexFunc(f.Keys, func(e entry) bool { return e.ID == FormatKeyID(kid) })
		if i < 0 {
			return fmt.Errorf("keyring: there is no key %s", FormatKeyID(kid))
		}

		e := &f.Keys[i]
		if e.Purpose.life() == 0 {
			return fmt.Errorf("keyring: key %s (%s) keeps data at rest readable and cannot be revoked", e.ID, e.Purpose)
		}
		if e.RevokedAt.IsZero() {
			e.RevokedAt = now.UTC()
			if e.RetiredAt.IsZero() || e.RetiredAt.After(now) {
				e.RetiredAt = now.UTC()
			}
		}

		if !f.usable(e.Purpose, now) {
			f.add(e.Purpose, now, now)
		}
		return nil
	})
	return err
}

// usable reports whether a key of the purpose is active and unrevoked.
func (f *file) usable(p Purpose, now time.Time) bool {
	return slices.ContainsFunc(f.Keys, func(e entry) bool {
		return e.Purpose == p && e.RevokedAt.IsZero() && !e.ActiveAt.After(now)
	})
}

// whole reports whether every purpose that the file is for has an unrevoked key.
func (f *file) whole() bool {
	for _, p := range Purposes {
		if f.Shares != nil && !f.holds(Share{Purpose: p, VerifyOnly: true}) {
			continue
		}
		if !f.hasKey(p) {
			return false
		}
	}
	return true
}

// complete adds the missing keys, active at once.
func (f *file) complete(now time.Time) {
	for _, p := range Purposes {
		if !f.hasKey(p) {
			f.add(p, now, now)
		}
	}
}

// hasKey reports whether there is an unrevoked key of the purpose.
func (f *file) hasKey(p Purpose) bool {
	return slices.ContainsFunc(f.Keys, func(e entry) bool { return e.Purpose == p && e.RevokedAt.IsZero() })
}

// add adds a new random key of the purpose and returns its id, which no other key in the file has.
func (f *file) add(p Purpose, now, activeAt time.Time) uint32 {
	var b [4]byte
	for {
		_, _ = rand.Read(b[:])
		kid := binary.BigEndian.Uint32(b[:])
		taken := slices.ContainsFunc(f.Keys, func(e entry) bool { return e.ID == FormatKeyID(kid) })
		if kid == 0 || taken { // 0 is no key, ever
			continue
		}
		secret := make([]byte, secretBytes)
		_, _ = rand.Read(secret)
		e := entry{ID: FormatKeyID(kid), Purpose: p, Secret: secret, CreatedAt: now.UTC(), ActiveAt: activeAt.UTC()}
		e.Check = e.check()
		f.Keys = append(f.Keys, e)
		return kid
	}
}

// retire marks the keys that a key active at t succeeds.
func (f *file) retire(p Purpose, t time.Time) {
	for i := range f.Keys {
		if e := &f.Keys[i]; e.Purpose == p && e.RetiredAt.IsZero() {
			e.RetiredAt = t.UTC()
		}
	}
}

// drop removes the retired keys under which nothing can be valid any more. Keys without a life are
// kept forever.
func (f *file) drop(now time.Time) {
	f.Keys = slices.DeleteFunc(f.Keys, func(e entry) bool {
		life := e.Purpose.life()
		return life > 0 && !e.RetiredAt.IsZero() && e.RetiredAt.Add(life).Before(now)
	})
}

// sound reports whether the entry has what its purpose requires, unaltered. What an unknown purpose
// requires is not known.
func (e entry) sound() bool {
	key := len(e.Secret) == secretBytes && len(e.Public) == 0
	if e.Purpose.kind() == kindSign {
		key = key || len(e.Public) == ed25519.PublicKeySize && len(e.Secret) == 0
	}
	return (key || e.Purpose.kind() == 0) && e.Check == e.check()
}

// set prepares the keys for use, and refuses a file that is inconsistent: a missing or damaged key,
// or an id that occurs twice.
func (f *file) set() (*set, error) {
	if !f.whole() {
		return nil, errors.New("keyring: the file lacks a key")
	}
	s := &set{byID: make(map[uint32]*key, len(f.Keys)), byPurpose: make(map[Purpose][]*key)}
	for _, e := range f.Keys {
		kid, ok := ParseKeyID(e.ID)
		if !ok || kid == 0 || !e.sound() {
			return nil, fmt.Errorf("keyring: key %q in the file is damaged", e.ID)
		}
		if e.Purpose.kind() == 0 { // a later version's; it stays in the file
			s.unknown = append(s.unknown, fmt.Sprintf("%s (%s)", e.ID, e.Purpose))
			continue
		}
		if s.byID[kid] != nil {
			return nil, fmt.Errorf("keyring: key %q is twice in the file", e.ID)
		}

		k := &key{id: kid, purpose: e.Purpose, activeAt: e.ActiveAt, revoked: !e.RevokedAt.IsZero()}
		switch e.Purpose.kind() {
		case kindSign:
			if k.public = e.Public; len(e.Secret) > 0 {
				k.private = ed25519.NewKeyFromSeed(e.Secret)
				k.public = ed25519.PublicKey(k.private[32:])
			}
		case kindSeal:
			aead, err := chacha20poly1305.NewX(e.Secret)
			if err != nil {
				return nil, fmt.Errorf("keyring: key %q: %w", e.ID, err)
			}
			k.aead = aead
		case kindMAC:
			k.mac = slices.Clone(e.Secret)
		}

		s.byID[kid] = k
		s.byPurpose[e.Purpose] = append(s.byPurpose[e.Purpose], k)
	}

	for _, keys := range s.byPurpose { // stable: of two keys of one instant, the later in the file is the newer
		slices.SortStableFunc(keys, func(a, b *key) int { return a.activeAt.Compare(b.activeAt) })
	}
	var err error
	s.jwks, err = renderJWKS(s.byPurpose)
	return s, err
}

// read reads and decodes the file of the folder, and returns its raw content too. It refuses what
// bytes and decode refuse. A missing file is fs.ErrNotExist.
func (d Folder) read() (f *file, raw []byte, err error) {
	if raw, err = d.Raw(); err != nil {
		return nil, nil, err
	}
	f, err = d.decode(raw)
	return f, raw, err
}

// Raw returns the folder's file as it is, sealed or plain. It refuses what ReadSecret refuses.
func (d Folder) Raw() ([]byte, error) {
	raw, err := ReadSecret(filepath.Join(d.Path, fileName))
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	return raw, nil
}

// ReadSecret returns the content of a file of secrets. It refuses a file that others can read or the
// group can write, and one that has more than MaxFileBytes.
func ReadSecret(path string) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()

	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	if info.Mode().Perm()&0o027 != 0 {
		return nil, fmt.Errorf("%s can be read by others or written by the group; chmod 600 it", name)
	}
	raw, err := io.ReadAll(io.LimitReader(in, MaxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > MaxFileBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", name, MaxFileBytes)
	}
	return raw, nil
}

// change edits the file under the lock, and returns it as it is then on disk. The result is checked
// before it is written. It refuses an export.
func (d Folder) change(edit func(*file) error) (*file, []byte, error) {
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return nil, nil, fmt.Errorf("keyring: %w", err)
	}

	unlock, err := d.lock()
	if err != nil {
		return nil, nil, err
	}
	defer unlock()

	f, _, err := d.read()
	if errors.Is(err, fs.ErrNotExist) {
		f = &file{Version: fileVersion}
	} else if err != nil {
		return nil, nil, err
	}
	if f.Shares != nil {
		return nil, nil, errors.New("keyring: this folder contains one service's export; change the whole ring, and export it again")
	}

	if err := edit(f); err != nil {
		return nil, nil, err
	}
	if _, err := f.set(); err != nil {
		return nil, nil, err
	}
	raw, err := d.encode(f)
	if err != nil {
		return nil, nil, err
	}
	f.outdated = false
	return f, raw, d.write(raw)
}

// lock locks the folder until unlock is called. The lock is the kernel's (flock), which releases it
// when the holder dies, so a stale lock can't block a start.
func (d Folder) lock() (unlock func(), err error) {
	lock, err := os.OpenFile(filepath.Join(d.Path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	if err := flock(lock); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("keyring: lock: %w", err)
	}
	return func() { _ = lock.Close() }, nil
}

// flock waits for the exclusive lock of a file. A signal does not end the wait.
func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX) // a file descriptor fits an int
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// write replaces keys.json by raw.
func (d Folder) write(raw []byte) error {
	if err := WriteSecret(filepath.Join(d.Path, fileName), raw); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	return nil
}

// WriteSecret replaces a file, durably, by one that only its owner can read. After a crash the file
// is the old or the new one; at worst a temporary file is left beside it.
func WriteSecret(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}

	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
