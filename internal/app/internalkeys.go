package app

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/rpc"
)

// hostPlaceholder stands for the service's name in --host.
const hostPlaceholder = "{target}"

// CreateInternalKeys writes a new root of the keys between services into a new file. No service
// reads it.
func CreateInternalKeys(root string, out io.Writer) error {
	if err := rpc.CreateRoot(root, time.Now()); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "created %s; keep it where no service reads it, and export each service its keys\n", root)
	return err
}

// ExportInternalKeys writes the keys of the pairs of services that the targets are part of into a
// file for the process that runs them, and prints the pairs.
func ExportInternalKeys(root string, targets []string, file string, out io.Writer) error {
	if err := knownTargets(targets); err != nil {
		return err
	}
	pairs, err := rpc.ExportKeys(root, targets, file)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: keys for %d pairs of services\n", strings.Join(targets, ","), pairs)
	return err
}

// RotateInternalKeys adds a new root, whose keys are used after rest. Until then each service must
// get its export.
func RotateInternalKeys(root string, rest time.Duration, out io.Writer) error {
	if rest < 0 {
		return fmt.Errorf("--rest %s: want a positive duration", rest)
	}
	if err := rpc.RotateRoot(root, time.Now(), rest); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "new keys, in use in %s; export each service its keys before that\n", rest)
	return err
}

// RetireInternalKeys removes the previous root. Its keys are refused once the services have their
// new exports.
func RetireInternalKeys(root string, out io.Writer) error {
	if err := rpc.RetireRoot(root, time.Now()); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "the previous keys are retired; export each service its keys")
	return err
}

// MakeCertificates writes the authority and a certificate for each target under a folder, or
// renews the certificates. Hosts are the names and addresses under which the targets are called;
// {target} in them is the target's name.
func MakeCertificates(dir string, targets, hosts []string, life time.Duration, out io.Writer) error {
	if len(targets) == 0 {
		targets = slices.Sorted(maps.Keys(targetSpecs))
	}
	if err := knownTargets(targets); err != nil {
		return err
	}
	of := func(target string) (all []string) {
		for _, host := range hosts {
			all = append(all, strings.ReplaceAll(host, hostPlaceholder, target))
		}
		return all
	}
	now := time.Now()
	if err := rpc.MakeCertificates(dir, targets, of, life, now); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "certificates for %s in %s, valid until %s\n",
		strings.Join(targets, ", "), dir, now.Add(life).UTC().Format(time.RFC3339))
	return err
}

// knownTargets returns an error if one of the names is no target.
func knownTargets(targets []string) error {
	for _, t := range targets {
		if _, ok := targetSpecs[t]; !ok {
			return fmt.Errorf("--target %q: want some of %s", t, targetNames())
		}
	}
	return nil
}
