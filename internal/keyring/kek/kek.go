// Package kek has the key-encryption keys under which a key ring can be sealed. Each is a
// keyring.Wrapper, chosen by a setting:
//
//	file:PATH          a key in a file, on other media than the ring
//	credential:NAME    a key that systemd hands over (LoadCredential, LoadCredentialEncrypted)
//	exec:PATH          a program that is run as PATH wrap or PATH unwrap
//	awskms:KEY         a key of AWS KMS, by id, alias or ARN; ?region= and ?endpoint= may follow
//
// A ring is unwrapped once when a process starts and once after each change of its file, and
// wrapped at each change.
package kek

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/paylink/paylink/internal/keyring"
)

// Limits.
const (
	maxFileBytes = 4 << 10 // of a file with a key
	maxAnswer    = 8 << 10 // of a program
	maxComplaint = 500     // of what a failing program wrote to standard error
)

// Form is the form of a setting, for messages.
const Form = "file:PATH, credential:NAME, exec:PATH or awskms:KEY"

// Credentials is the environment variable with the folder of systemd's credentials.
const Credentials = "CREDENTIALS_DIRECTORY"

// Parse returns the wrapper that a setting names; nil for an empty one. credentials is the folder
// of systemd's credentials, if there is one. Parse reads no key and calls nobody yet, so that a key
// on removable media may come later.
func Parse(setting, credentials string) (keyring.Wrapper, error) {
	kind, rest, _ := strings.Cut(setting, ":")
	switch {
	case setting == "":
		return nil, nil //nolint:nilnil // no setting, no wrapper
	case rest == "":
	case kind == "file":
		return File(rest), nil
	case kind == "credential" && rest == filepath.Base(rest):
		return credential{credentials, rest}, nil
	case kind == "exec" && filepath.IsAbs(rest):
		return program(rest), nil
	case kind == "awskms":
		return parseKMS(rest)
	}
	return nil, fmt.Errorf("%q: want %s, with an absolute path for exec", setting, Form)
}

// File is a file with a key: 32 random bytes in base64, in one line. Others may not read it.
type File string

// Create writes a new key to the file, which must not exist, readable by its owner only.
func (f File) Create() error {
	key := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(key)
	out, err := os.OpenFile(string(f), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("key-encryption key: %w", err)
	}
	_, err = fmt.Fprintln(out, base64.StdEncoding.EncodeToString(key))
	return errors.Join(err, out.Sync(), out.Close())
}

// Wrap implements keyring.Wrapper.
func (f File) Wrap(_ context.Context, key []byte) ([]byte, error) { return f.use(key, seal) }

// Unwrap implements keyring.Wrapper.
func (f File) Unwrap(_ context.Context, wrapped []byte) ([]byte, error) { return f.use(wrapped, open) }

// use reads the key and does something with it.
func (f File) use(b []byte, do func(kek, b []byte) ([]byte, error)) ([]byte, error) {
	info, err := os.Stat(string(f))
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others; chmod 600 it", f)
	}
	return useFile(string(f), b, do)
}

// credential is a systemd credential with a key, in the form of File. systemd itself gives it to
// this service alone.
type credential struct{ dir, name string }

// Wrap implements keyring.Wrapper.
func (c credential) Wrap(_ context.Context, key []byte) ([]byte, error) { return c.use(key, seal) }

// Unwrap implements keyring.Wrapper.
func (c credential) Unwrap(_ context.Context, wrapped []byte) ([]byte, error) {
	return c.use(wrapped, open)
}

func (c credential) use(b []byte, do func(kek, b []byte) ([]byte, error)) ([]byte, error) {
	if c.dir == "" {
		return nil, fmt.Errorf("systemd gave no credentials ($%s is not set); set LoadCredential=%s:… in the unit", Credentials, c.name)
	}
	return useFile(filepath.Join(c.dir, c.name), b, do)
}

// useFile does something with the key in a file.
func useFile(path string, b []byte, do func(kek, b []byte) ([]byte, error)) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	text, err := io.ReadAll(io.LimitReader(in, maxFileBytes))
	if err != nil {
		return nil, err
	}
	defer clear(text)
	kek, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(kek) != chacha20poly1305.KeySize {
		return nil, fmt.Errorf("%s contains no key: want 32 bytes in base64, as paylink keys kek writes them", path)
	}
	defer clear(kek)
	return do(kek, b)
}

// wrapContext is authenticated with everything that is wrapped.
const wrapContext = "paylink data key"

// seal encrypts a key under a KEK.
func seal(kek, key []byte) ([]byte, error) { return keyring.SealUnder(kek, key, wrapContext) }

// open is the reverse of seal.
func open(kek, wrapped []byte) ([]byte, error) {
	key, err := keyring.OpenUnder(kek, wrapped, wrapContext)
	if err != nil {
		return nil, errors.New("it is not wrapped under this key")
	}
	return key, nil
}

// program is a program that wraps and unwraps: it gets "wrap" or "unwrap" as its argument and the
// bytes on standard input in base64, and writes the result to standard output in base64. It is run
// without a shell.
type program string

// Wrap implements keyring.Wrapper.
func (p program) Wrap(ctx context.Context, key []byte) ([]byte, error) {
	return p.run(ctx, "wrap", key)
}

// Unwrap implements keyring.Wrapper.
func (p program) Unwrap(ctx context.Context, wrapped []byte) ([]byte, error) {
	return p.run(ctx, "unwrap", wrapped)
}

func (p program) run(ctx context.Context, what string, in []byte) ([]byte, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, string(p), what) //nolint:gosec // the operator names the program
	cmd.Stdin = strings.NewReader(base64.StdEncoding.EncodeToString(in) + "\n")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(errs.String())
		return nil, fmt.Errorf("%s %s: %w: %s", p, what, err, said[:min(len(said), maxComplaint)])
	}
	defer clear(out.Bytes())
	if out.Len() > maxAnswer {
		return nil, fmt.Errorf("%s %s: the answer has more than %d bytes", p, what, maxAnswer)
	}
	answer, err := base64.StdEncoding.DecodeString(strings.TrimSpace(out.String()))
	if err != nil || len(answer) == 0 {
		return nil, fmt.Errorf("%s %s: the answer is not base64", p, what)
	}
	return answer, nil
}
