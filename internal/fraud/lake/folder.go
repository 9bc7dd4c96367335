package lake

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// ours matches the names of the lake's files. Nothing else is ever removed.
var ours = regexp.MustCompile(`^table=[a-z]+/day=[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]{20}-[0-9]{20}\.parquet$`)

// folder is a lake on a disk.
type folder string

// Put implements Files. It writes a new file beside the destination, makes it durable, and renames
// it. A crash leaves at worst a file whose name readers ignore, and which Clear removes.
func (f folder) Put(_ context.Context, name string, body []byte) (err error) {
	path := filepath.Join(string(f), filepath.FromSlash(name))
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".writing-*") // readers of lakes ignore names that begin with a dot
	if err != nil {
		return err
	}

	_, err = temp.Write(body)
	if err = errors.Join(err, temp.Chmod(0o640), temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	// The name must be as durable as the checkpoint that refers to it.
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Get implements Files.
func (f folder) Get(_ context.Context, name string) ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(string(f), filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

// Clear implements Files. The mark is removed last, so that an interrupted Clear is repeated.
func (f folder) Clear(context.Context) error {
	found, err := fs.Glob(os.DirFS(string(f)), "table=*/day=*/*")
	if err != nil {
		return err
	}
	for _, name := range found {
		if part, _ := filepath.Match(".writing-*", filepath.Base(name)); ours.MatchString(name) || part {
			if err := os.Remove(filepath.Join(string(f), filepath.FromSlash(name))); err != nil {
				return err
			}
		}
	}

	if err := os.Remove(filepath.Join(string(f), markName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
