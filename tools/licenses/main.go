// Licenses writes the licenses of everything that is linked into paylink into one compressed
// file, which the binary prints (paylink licenses). It reads the modules' own files, in the
// module cache, and those of their folders that are linked.
//
// Usage, in the module's root: go run ./tools/licenses
package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// file is what the generator writes.
const file = "cmd/paylink/licenses.txt.gz"

// licenseName matches the files that hold a license or a notice; logo those about pictures,
// which are not linked.
var (
	licenseName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|unlicense)([.-].*)?$`)
	logo        = regexp.MustCompile(`(?i)logo`)
)

// pkg is a package as go list prints it.
type pkg struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
	}
}

func main() {
	text, err := collect()
	if err == nil {
		err = write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}

// collect returns the text: paylink's own license, Go's, and those of the modules. A text that
// several of them share appears once, under all their names.
func collect() (string, error) {
	packages, err := linked()
	if err != nil {
		return "", err
	}
	root, err := goRoot()
	if err != nil {
		return "", err
	}

	owners := map[string][]string{} // by text
	add := func(owner, dir string) (found bool, err error) {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			if !licenseName.MatchString(e.Name()) || logo.MatchString(e.Name()) || e.IsDir() || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return found, err
			}
			text := strings.TrimSpace(strings.ReplaceAll(string(raw), "\r\n", "\n"))
			if !slices.Contains(owners[text], owner) {
				owners[text] = append(owners[text], owner)
			}
			found = true
		}
		return found, err
	}

	for owner, dir := range map[string]string{"paylink": ".", "the Go standard library and runtime": root} {
		if found, err := add(owner, dir); err != nil || !found {
			return "", errors.Join(err, fmt.Errorf("%s has no license in %s", owner, dir))
		}
	}
	seen := map[string]bool{}
	for _, p := range packages {
		owner := p.Module.Path + " " + p.Module.Version
		if found, err := add(owner, p.Module.Dir); err != nil || !found {
			return "", errors.Join(err, fmt.Errorf("%s has no license in %s", owner, p.Module.Dir))
		}
		// A folder of a module may be somebody else's.
		for dir := p.Dir; len(dir) > len(p.Module.Dir) && !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			if _, err := add(owner+", in "+filepath.ToSlash(dir[len(p.Module.Dir)+1:]), dir); err != nil {
				return "", err
			}
		}
	}
	return layOut(owners), nil
}

// layOut returns the texts with their owners, in the order of the first owner; paylink comes
// first.
func layOut(owners map[string][]string) string {
	for _, names := range owners {
		slices.Sort(names)
	}
	texts := slices.SortedFunc(maps.Keys(owners), func(a, b string) int {
		own := func(text string) int {
			if slices.Contains(owners[text], "paylink") {
				return 0
			}
			return 1
		}
		return cmp.Or(own(a)-own(b), slices.Compare(owners[a], owners[b]), strings.Compare(a, b))
	})
	var out strings.Builder
	out.WriteString("paylink contains the software below, under these licenses. The source of a module is at\n" +
		"https://proxy.golang.org/MODULE/@v/VERSION.zip, with capital letters written as ! and the small letter.\n")
	for _, text := range texts {
		fmt.Fprintf(&out, "\n%s\n\n", strings.Repeat("=", 80))
		for _, name := range owners[text] {
			fmt.Fprintln(&out, "*", name)
		}
		fmt.Fprintf(&out, "\n%s\n", text)
	}
	return out.String()
}

// linked returns the packages of other modules that are linked into the binary, on any of the
// platforms for which it is published.
func linked() ([]pkg, error) {
	var all []pkg
	for _, arch := range []string{"amd64", "arm64"} {
		list := exec.CommandContext(context.Background(), "go", "list", "-deps", "-json=Dir,Standard,Module", "./cmd/paylink") // it ends by itself
		list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		list.Stderr = os.Stderr
		raw, err := list.Output()
		if err != nil {
			return nil, err
		}
		for d := json.NewDecoder(bytes.NewReader(raw)); ; {
			var p pkg
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, err
			}
			if !p.Standard && p.Module != nil && !p.Module.Main {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

// goRoot returns the folder of the Go distribution.
func goRoot() (string, error) {
	out, err := exec.CommandContext(context.Background(), "go", "env", "GOROOT").Output()
	return strings.TrimSpace(string(out)), err
}

// write compresses the text, without a time, so that the same text gives the same file.
func write(text string) error {
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write([]byte(text)); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(file, zipped.Bytes(), 0o644) //nolint:gosec // everybody may read it
}
