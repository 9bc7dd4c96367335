package rpc

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/keyring"
)

// Limits of the files with keys between services.
const (
	rootBytes = 32
	maxRoots  = 2 // the one in use, and its successor or predecessor
)

// pairInfo is the purpose for which the key of a pair is derived. It changes together with what
// the mac covers.
const pairInfo = "paylink internal call v2"

// root is a secret from which the keys of all pairs are derived. Only the operator holds it.
type root struct {
	Secret []byte    `json:"secret"`
	From   time.Time `json:"from"` // when callers begin to use its keys
}

// rootFile is the content of the operator's file, oldest root first.
type rootFile struct {
	Roots []root `json:"roots"`
}

// keysFile is the content of a service's file: the keys of the pairs that it is part of.
type keysFile struct {
	Services []string   `json:"services"`
	Keys     []fileKeys `json:"pairs"`
}

// fileKeys are the keys of one pair, oldest first.
type fileKeys struct {
	Caller string    `json:"caller"`
	Target string    `json:"target"`
	Keys   []fileKey `json:"keys"`
}

// fileKey is a key of a pair. It is accepted at once, and used from From.
type fileKey struct {
	Key  []byte    `json:"key"`
	From time.Time `json:"from"`
}

// pair is an arrow between two services.
type pair struct{ caller, target string }

// pairKey is a key that exactly two services hold, with the name by which the other finds it.
type pairKey struct {
	pair
	id   string
	key  []byte
	from time.Time
}

// pairsOf returns the arrows that begin or end at one of the services.
func pairsOf(services []string) (all []pair) {
	for target, callers := range permits {
		for caller := range callers {
			if slices.Contains(services, target) || slices.Contains(services, caller) {
				all = append(all, pair{caller, target})
			}
		}
	}
	slices.SortFunc(all, func(a, b pair) int { return strings.Compare(a.caller+" "+a.target, b.caller+" "+b.target) })
	return all
}

// derive returns the key of a pair. It depends on both names, so no third service can have it.
func (r root) derive(p pair) ([]byte, error) {
	return hkdf.Key(sha256.New, r.Secret, nil, pairInfo+"\x00"+p.caller+"\x00"+p.target, sha256.Size)
}

// newPairKey returns a key with its name, which reveals nothing about it.
func newPairKey(p pair, k fileKey) pairKey {
	id := sha256.Sum256(append([]byte("id\x00"), k.Key...))
	return pairKey{pair: p, id: hex.EncodeToString(id[:4]), key: k.Key, from: k.From}
}

// CreateRoot writes a new root secret into a new file. It returns an error if the file exists.
func CreateRoot(file string, now time.Time) error {
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("%s exists already", file)
	}
	return writeRoots(file, rootFile{Roots: []root{newRoot(now)}})
}

// newRoot returns a random root.
func newRoot(from time.Time) root {
	r := root{Secret: make([]byte, rootBytes), From: from.UTC().Truncate(time.Millisecond)}
	_, _ = rand.Read(r.Secret) // never fails
	return r
}

// RotateRoot adds a root, whose keys are used after rest: by then every service must have its
// export. The keys of the previous root are accepted until RetireRoot. It returns an error while
// an earlier rotation is not finished.
func RotateRoot(file string, now time.Time, rest time.Duration) error {
	f, err := readRoots(file)
	if err != nil {
		return err
	}
	if len(f.Roots) >= maxRoots {
		return fmt.Errorf("%s: the last rotation is not finished; run paylink internal-keys retire first", file)
	}
	f.Roots = append(f.Roots, newRoot(now.Add(rest)))
	return writeRoots(file, f)
}

// RetireRoot removes every root except the newest one. It returns an error if there is none to
// remove, or if the newest one is not in use yet.
func RetireRoot(file string, now time.Time) error {
	f, err := readRoots(file)
	if err != nil {
		return err
	}
	newest := f.Roots[len(f.Roots)-1]
	switch {
	case len(f.Roots) == 1:
		return fmt.Errorf("%s: there is no previous root to retire", file)
	case now.Before(newest.From):
		return fmt.Errorf("%s: the new root is not in use before %s", file, newest.From.Format(time.RFC3339))
	}
	return writeRoots(file, rootFile{Roots: []root{newest}})
}

// ExportKeys derives the keys of the pairs that the services of one process are part of, and
// writes them into a file for it. It replaces an existing file. It returns the number of pairs.
func ExportKeys(rootFile string, services []string, file string) (int, error) {
	f, err := readRoots(rootFile)
	if err != nil {
		return 0, err
	}
	out := keysFile{Services: services}
	for _, p := range pairsOf(services) {
		keys := fileKeys{Caller: p.caller, Target: p.target}
		for _, r := range f.Roots {
			key, err := r.derive(p)
			if err != nil {
				return 0, err
			}
			keys.Keys = append(keys.Keys, fileKey{Key: key, From: r.From})
		}
		out.Keys = append(out.Keys, keys)
	}
	return len(out.Keys), writeJSON(file, out)
}

// readRoots reads and checks the operator's file.
func readRoots(file string) (f rootFile, err error) {
	if err := readJSON(file, &f); err != nil {
		return f, err
	}
	if len(f.Roots) == 0 || len(f.Roots) > maxRoots {
		return f, fmt.Errorf("%s: want 1 to %d roots, have %d", file, maxRoots, len(f.Roots))
	}
	for _, r := range f.Roots {
		if len(r.Secret) != rootBytes {
			return f, fmt.Errorf("%s: a root has %d bytes, want %d", file, len(r.Secret), rootBytes)
		}
	}
	return f, nil
}

func writeRoots(file string, f rootFile) error { return writeJSON(file, f) }

// readPairs reads a service's file and returns the keys of the services' own pairs, oldest first.
// Keys of other pairs are dropped. It returns an error if one of the pairs has no key.
func readPairs(file string, services []string) ([]pairKey, error) {
	var f keysFile
	if err := readJSON(file, &f); err != nil {
		return nil, err
	}
	var all []pairKey
	for _, p := range pairsOf(services) {
		had := len(all)
		for _, of := range f.Keys {
			if of.Caller != p.caller || of.Target != p.target {
				continue
			}
			for _, k := range of.Keys {
				if len(k.Key) != sha256.Size {
					return nil, fmt.Errorf("%s: a key from %s to %s has %d bytes, want %d", file, p.caller, p.target, len(k.Key), sha256.Size)
				}
				all = append(all, newPairKey(p, k))
			}
		}
		if n := len(all) - had; n == 0 || n > maxRoots {
			return nil, fmt.Errorf("%s: want 1 to %d keys for calls from %s to %s, have %d; run paylink internal-keys export again",
				file, maxRoots, p.caller, p.target, n)
		}
	}
	return all, nil
}

// readJSON reads a file of secrets.
func readJSON(file string, into any) error {
	raw, err := keyring.ReadSecret(file)
	if err != nil {
		return err
	}
	defer clear(raw)
	if json.Unmarshal(raw, into) != nil { // without the cause, which may quote a secret
		return fmt.Errorf("%s holds no internal keys; paylink internal-keys writes them", file)
	}
	return nil
}

// writeJSON writes a file of secrets.
func writeJSON(file string, content any) error {
	raw, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(file, append(raw, '\n'))
}

// replaceFile writes a file that only its owner can read, and its folder if there is none.
func replaceFile(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return keyring.WriteSecret(file, content)
}
