package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/keyring"
)

// keysTimeout bounds how long recording keys in the store may take.
const keysTimeout = 10 * time.Second

// keyStore is a store that remembers the keys under which its data is sealed.
type keyStore interface {
	NeededKeys(context.Context) ([]keyring.Name, error)
	NeedKeys(context.Context, []keyring.Name, time.Time) error
	Empty(context.Context) (bool, error)
}

// remembering is a store of this process, and the keys that it is known to remember.
type remembering struct {
	keyStore
	name   string
	writes bool // this process changes what is in it
	known  []keyring.Name
}

// learn reads which keys the store remembers.
func (r *remembering) learn(ctx context.Context) (err error) {
	r.known, err = r.NeededKeys(ctx)
	return err
}

// remembering returns the stores of this process, with the keys that they remember.
func (s *services) remembering(ctx context.Context) (all []*remembering, _ error) {
	if s.stores.sql != nil {
		all = append(all, &remembering{keyStore: s.stores.sql, name: s.cfg.storeName(), writes: true})
	}
	if s.stores.table != nil {
		all = append(all, &remembering{keyStore: s.stores.table, name: "the table of payments",
			writes: s.cfg.any(func(t targetSpec) bool { return t.writes })})
	}
	for _, r := range all {
		if err := patiently(ctx, r.learn); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// openKeys opens the keys. A single process has the whole ring and creates what is missing, unless
// a store is in use already: new keys could open nothing in it. A split process has the share of
// its services, which must exist. Keys other than those that a store was written with are refused.
// Keys made later are recorded in the stores before they are used.
func (s *services) openKeys(ctx context.Context) error {
	folder, err := s.cfg.keys()
	if err != nil {
		return err
	}
	all, err := s.remembering(ctx)
	if err != nil {
		return err
	}
	if !s.cfg.split() && !folder.Exists() {
		if err := mayCreateKeys(ctx, all, folder); err != nil {
			return err
		}
	}

	if s.cfg.split() {
		s.ring, err = folder.OpenShare(shares(s.cfg.Targets), time.Now())
	} else {
		s.ring, err = folder.Open(time.Now())
	}
	if err != nil {
		return err
	}
	if unknown := s.ring.Unknown(); len(unknown) > 0 {
		s.log.WarnContext(ctx, "keys of unknown purposes are passed over; a later version made them", "keys", unknown)
	}

	for _, r := range all {
		if err := lacks(r.known, s.ring.AtRest()); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	if err := recordKeys(ctx, all, s.ring); err != nil {
		return err
	}
	s.background["keys"] = func(ctx context.Context) error {
		return s.ring.Watch(ctx, keyReloadInterval, func(ctx context.Context) {
			if err := recordKeys(ctx, all, s.ring); err != nil {
				s.log.WarnContext(ctx, "new keys could not be recorded in the store; trying again", "error", err)
			}
		})
	}
	return nil
}

// mayCreateKeys returns an error if a store is in use, although the folder has no keys.
func mayCreateKeys(ctx context.Context, all []*remembering, folder keyring.Folder) error {
	for _, r := range all {
		empty, err := r.Empty(ctx)
		if err != nil {
			return err
		}
		if !empty || len(r.known) > 0 {
			return fmt.Errorf("%s is in use, but %s has no keys, and new ones could not open what is in it: restore the keys, or name their folder with --keys",
				r.name, folder.Path)
		}
	}
	return nil
}

// recordKeys records the keys of this process in the stores that it writes, except those that are
// recorded there already.
func recordKeys(ctx context.Context, all []*remembering, ring *keyring.Ring) error {
	for _, r := range all {
		fresh := slices.DeleteFunc(ring.AtRest(), func(k keyring.Name) bool { return slices.Contains(r.known, k) })
		if len(fresh) == 0 || !r.writes {
			continue
		}
		if err := recordIn(ctx, r, fresh); err != nil {
			return err
		}
		r.known = append(r.known, fresh...)
	}
	return nil
}

// recordIn records keys in one store.
func recordIn(ctx context.Context, r *remembering, keys []keyring.Name) error {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	return r.NeedKeys(ctx, keys, time.Now())
}

// lacks returns an error if one of the needed keys is missing among those held, although the
// process holds keys of its purpose.
func lacks(needed, held []keyring.Name) error {
	for _, k := range needed {
		ofPurpose := slices.ContainsFunc(held, func(h keyring.Name) bool { return h.Purpose == k.Purpose })
		if ofPurpose && !slices.Contains(held, k) {
			return errors.New("it was written with key " + k.ID + " (" + string(k.Purpose) +
				"), which is not in these keys: they belong to another installation, or to a time before that key was made")
		}
	}
	return nil
}
