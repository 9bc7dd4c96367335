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

// openKeys opens the keys. A single process has the whole ring and creates what is missing, unless
// the store is in use already: new keys could open nothing in it. A split process has the share of
// its services, which must exist. Keys other than those that the store was written with are
// refused. Keys made later are recorded in the store before they are used.
func (s *services) openKeys(ctx context.Context) error {
	folder, err := s.cfg.keys()
	if err != nil {
		return err
	}
	var needed []keyring.Name
	if s.stores.sql != nil {
		if needed, err = s.stores.sql.NeededKeys(ctx); err != nil {
			return err
		}
		empty, err := s.stores.sql.Empty(ctx)
		if err != nil {
			return err
		}
		if !s.cfg.split() && !folder.Exists() && (!empty || len(needed) > 0) {
			return fmt.Errorf("%s is in use, but %s has no keys, and new ones could not open what is in it: restore the keys, or name their folder with --keys",
				s.cfg.storeName(), folder.Path)
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

	if err := lacks(needed, s.ring.AtRest()); err != nil {
		return fmt.Errorf("%s: %w", s.cfg.storeName(), err)
	}
	if err := s.recordKeys(ctx, &needed); err != nil {
		return err
	}
	s.background["keys"] = func(ctx context.Context) error {
		return s.ring.Watch(ctx, keyReloadInterval, func(ctx context.Context) {
			if err := s.recordKeys(ctx, &needed); err != nil {
				s.log.WarnContext(ctx, "new keys could not be recorded in the store; trying again", "error", err)
			}
		})
	}
	return nil
}

// recordKeys records the keys of this process in the store, except those that are recorded there
// already, and adds them to recorded.
func (s *services) recordKeys(ctx context.Context, recorded *[]keyring.Name) error {
	fresh := slices.DeleteFunc(s.ring.AtRest(), func(k keyring.Name) bool { return slices.Contains(*recorded, k) })
	if len(fresh) == 0 || s.stores.sql == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	if err := s.stores.sql.NeedKeys(ctx, fresh, time.Now()); err != nil {
		return err
	}
	*recorded = append(*recorded, fresh...)
	return nil
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
