package main

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the licenses
	"errors"
	"io"
)

// licensesZipped is the text of all licenses, which make generate writes.
//
//go:embed licenses.txt.gz
var licensesZipped []byte

// printLicenses writes the licenses of everything in this binary.
func printLicenses(out io.Writer) error {
	z, err := gzip.NewReader(bytes.NewReader(licensesZipped))
	if err != nil {
		return err
	}
	_, err = io.Copy(out, z) //nolint:gosec // our own file
	return errors.Join(err, z.Close())
}
