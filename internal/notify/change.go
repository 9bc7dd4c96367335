package notify

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/stream"
)

// maxChangeTries bounds how often a change is repeated on a newer revision.
const maxChangeTries = 20

// Update changes an endpoint and returns it. After a concurrent rotation, or the start of a
// failure, it applies the change to the newer revision, because a change names only what it
// sets. It fails with endpoint_changed after maxChangeTries. A change that alters nothing
// writes nothing.
func (l *Local) Update(ctx context.Context, c Change) (Endpoint, error) {
	if c.Events != nil {
		events, f := checkEvents(*c.Events)
		if f != nil {
			return Endpoint{}, f
		}
		c.Events = &events
	}

	// Invalidated even on an error: the commit may have happened without its answer.
	defer l.cache.invalidate()
	for n := 1; ; n++ {
		e, err := l.Get(ctx, c.Account, c.Mode, c.ID)
		if err != nil {
			return Endpoint{}, err
		}
		// A URL that stays was accepted by the rules of its time.
		if c.URL != nil && *c.URL != e.URL {
			url, f := checkURL(*c.URL, l.AllowPrivate)
			if f != nil {
				return Endpoint{}, f
			}
			c.URL = &url
		}
		changed, events, err := c.apply(e, l.Now())
		if err != nil || changed.same(e) {
			return e, err
		}
		err = l.Store.UpdateEndpoint(l.did(ctx, changed, activity.EndpointUpdated), changed, events, nil)
		if errors.Is(err, ErrConflict) && n < maxChangeTries {
			continue
		}
		changed.Revision++
		return changed, conflict(err)
	}
}

// same reports whether the endpoints agree in all that an owner may change.
func (e Endpoint) same(o Endpoint) bool {
	return e.URL == o.URL && slices.Equal(e.Events, o.Events) && e.Enabled() == o.Enabled()
}

// apply returns the endpoint after the change, with the events that report it. An endpoint that
// already is as requested keeps its reason.
func (c Change) apply(e Endpoint, now time.Time) (Endpoint, []stream.Event, error) {
	if c.URL != nil {
		e.URL = *c.URL
	}
	if c.Events != nil {
		e.Events = *c.Events
	}
	switch {
	case c.Enabled == nil || *c.Enabled == e.Enabled():
		return e, nil, nil
	case *c.Enabled:
		e.DisabledAt, e.DisabledReason, e.FailingSince = time.Time{}, "", time.Time{}
		return e, nil, nil
	}

	return disable(e, ReasonManual, now)
}

// Disable turns an endpoint off for a reason and emits endpoint.disabled in the same commit,
// which notifies the account's other endpoints and the mails. It is repeatable: an endpoint
// that is disabled or gone stays as it is, and so does a failing one that has had a success
// meanwhile.
func Disable(ctx context.Context, s Store, account, endpoint, reason string, now time.Time) error {
	for {
		e, err := s.Endpoint(ctx, account, endpoint)
		if fault.KindOf(err) == fault.KindNotFound || (err == nil && !e.Enabled()) {
			return nil
		}
		if err != nil {
			return err
		}
		if reason == ReasonFailing && !e.Failing(now) {
			return nil
		}
		off, events, err := disable(e, reason, now)
		if err != nil {
			return err
		}
		err = s.UpdateEndpoint(ctx, off, events, nil)
		// The endpoint changed between the read and the write: read it again.
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// disable returns the endpoint, turned off, and the event. The event's id derives from how
// often the endpoint was turned off before, so a repetition of the same commit makes the
// same event.
func disable(e Endpoint, reason string, now time.Time) (Endpoint, []stream.Event, error) {
	e.DisabledAt, e.DisabledReason = now, reason
	e.EventSeq++
	name := EndpointDisabled
	if e.EventSeq > 1 {
		name += "/" + strconv.FormatInt(e.EventSeq, 10)
	}
	data, err := json.Marshal(Object(e))
	return e, []stream.Event{{
		ID: id.Derive(id.Event, e.ID, name), Type: EndpointDisabled,
		Account: e.Account, Mode: e.Mode, Object: e.ID, ObjectSeq: e.EventSeq, CreatedAt: now, Data: data,
	}}, err
}
