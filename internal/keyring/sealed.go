package keyring

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// Wrapper encrypts small secrets under a key-encryption key (KEK) that is kept elsewhere: on other
// media, or in a key service. Unwrap is the reverse of Wrap.
type Wrapper interface {
	Wrap(ctx context.Context, key []byte) ([]byte, error)
	Unwrap(ctx context.Context, wrapped []byte) ([]byte, error)
}

const (
	sealedVersion = 2                // of a sealed file; a plain one has fileVersion
	wrapTimeout   = 30 * time.Second // of one call of the KEK
	sealedContext = "paylink keys"   // authenticated with a sealed file
)

// Errors of a folder that is opened with a KEK and is plain, or the other way round.
var (
	ErrSealed = errors.New("the keys are sealed; say under which key-encryption key")
	ErrPlain  = errors.New("the keys are not sealed, although a key-encryption key was given; paylink keys seal seals them")
)

// sealed is keys.json under a KEK. Each write uses a new data key.
type sealed struct {
	Version int    `json:"version"`
	Wrapped []byte `json:"wrapped"` // the data key, under the KEK
	Sealed  []byte `json:"sealed"`  // nonce and plain file, XChaCha20-Poly1305 under the data key
}

// SealUnder encrypts with a key of 32 bytes and authenticates context with it: nonce, ciphertext and
// tag of XChaCha20-Poly1305. OpenUnder is the reverse.
func SealUnder(key, plain []byte, context string) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	_, _ = rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, []byte(context)), nil
}

// OpenUnder returns what SealUnder encrypted with the same key and context.
func OpenUnder(key, sealed []byte, context string) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("it is too short")
	}
	return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(context))
}

// decode returns the file in raw, which it unseals with one call of the KEK. It returns ErrSealed
// or ErrPlain if the folder has a KEK and the file is plain, or the other way round, and an error
// for a damaged file or one of another version.
func (d Folder) decode(raw []byte) (*file, error) {
	f := new(file)
	if err := json.Unmarshal(raw, f); err != nil {
		return nil, fmt.Errorf("keyring: %s is damaged: %w", fileName, err)
	}
	switch {
	case f.Version == fileVersion && d.KEK == nil:
		n := len(f.Keys)
		f.Keys = slices.DeleteFunc(f.Keys, func(e entry) bool { return e.Purpose == cardMAC })
		f.Shares = slices.DeleteFunc(f.Shares, func(s Share) bool { return s.Purpose == cardMAC })
		f.outdated = len(f.Keys) < n
		return f, nil
	case f.Version == fileVersion:
		return nil, fmt.Errorf("keyring: %w", ErrPlain)
	case f.Version != sealedVersion:
		return nil, fmt.Errorf("keyring: %s has version %d; this program reads versions %d and %d", fileName, f.Version, fileVersion,
			sealedVersion)
	case d.KEK == nil:
		return nil, fmt.Errorf("keyring: %w", ErrSealed)
	}

	var s sealed
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("keyring: %s is damaged: %w", fileName, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), wrapTimeout)
	defer cancel()
	key, err := d.KEK.Unwrap(ctx, s.Wrapped)
	if err != nil {
		return nil, fmt.Errorf("keyring: the key-encryption key does not open %s: %w", fileName, err)
	}
	defer clear(key)
	plain, err := OpenUnder(key, s.Sealed, sealedContext)
	if err != nil {
		return nil, fmt.Errorf("keyring: %s is damaged, or sealed under another key: %w", fileName, err)
	}
	defer clear(plain)
	return Folder{}.decode(plain)
}

// encode is the reverse of decode. A new data key is wrapped by one call of the KEK.
func (d Folder) encode(f *file) ([]byte, error) {
	plain, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	if d.KEK == nil {
		return plain, nil
	}
	defer clear(plain)

	key := make([]byte, chacha20poly1305.KeySize)
	defer clear(key)
	_, _ = rand.Read(key)
	ctx, cancel := context.WithTimeout(context.Background(), wrapTimeout)
	defer cancel()
	s := sealed{Version: sealedVersion}
	if s.Wrapped, err = d.KEK.Wrap(ctx, key); err != nil {
		return nil, fmt.Errorf("keyring: wrap the data key: %w", err)
	}
	if s.Sealed, err = SealUnder(key, plain, sealedContext); err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	return raw, nil
}

// Reseal writes the folder's file again as to wants it: sealed under its KEK, or plain. The file
// may be the whole ring or an export. After a crash it is the old or the new one. A running process
// that has the old KEK keeps the keys in memory, and reports that it cannot reload them.
func (d Folder) Reseal(to Wrapper) error {
	if _, err := d.Raw(); errors.Is(err, fs.ErrNotExist) {
		return err // lock would make the folder's lock
	}
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	f, _, err := d.read()
	if err != nil {
		return err
	}
	raw, err := Folder{Path: d.Path, KEK: to}.encode(f)
	if err != nil {
		return err
	}
	return d.write(raw)
}

// PutRaw writes what Raw returned into a folder that has no keys yet; otherwise it is an error.
func (d Folder) PutRaw(raw []byte) error {
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if d.Exists() {
		return fmt.Errorf("keyring: %s already has keys; they are never overwritten", d.Path)
	}
	return d.write(raw)
}
