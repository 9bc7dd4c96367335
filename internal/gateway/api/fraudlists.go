package api

import (
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// entryObject is an entry of a fraud list as callers see it. A card shows as its
// fingerprint.
type entryObject struct {
	ID        string `json:"id"`
	Object    string `json:"object"`
	Kind      string `json:"kind"`
	Action    string `json:"action"`
	Value     string `json:"value"`
	Note      string `json:"note,omitempty"`
	Mode      string `json:"mode"`
	ExpiresAt string `json:"expiresAt,omitempty"`
	CreatedAt string `json:"createdAt"`
	CreatedBy string `json:"createdBy,omitempty"`
}

// showEntry renders an entry.
func showEntry(e rulebook.Entry) entryObject {
	return entryObject{
		ID:        e.ID,
		Object:    "fraud_list_entry",
		Kind:      string(e.Kind),
		Action:    string(e.Action),
		Value:     e.Value,
		Note:      e.Note,
		Mode:      e.Mode,
		ExpiresAt: timeOrNone(e.ExpiresAt),
		CreatedAt: link.FormatTime(e.CreatedAt),
		CreatedBy: e.CreatedBy,
	}
}

// updateEntryBody is what a change of an entry replaces.
type updateEntryBody struct {
	Action    field[string] `json:"action"`
	Note      field[string] `json:"note" default:"\"\""`
	ExpiresAt field[stamp]  `json:"expiresAt"`
}

// entryBody is a new entry. Kind and value identify it and never change.
type entryBody struct {
	Kind  field[string] `json:"kind"`
	Value field[string] `json:"value"`
	updateEntryBody
}

// entry returns the service's entry without kind and value. It fails if action is absent or
// expiresAt is not a time.
func (b *updateEntryBody) entry(q *request) (rulebook.Entry, error) {
	e := rulebook.Entry{Account: q.caller.account, Mode: q.caller.mode, Action: payment.Action(b.Action.Value), Note: b.Note.Value}
	if err := required(b.Action.Set, "action"); err != nil {
		return e, err
	}

	// Stored times have microseconds, and the response shows what is stored.
	if b.ExpiresAt.Set {
		at, err := (query{"expiresAt": string(b.ExpiresAt.Value)}).time("expiresAt")
		if err != nil {
			return e, err
		}
		e.ExpiresAt = at.Truncate(time.Microsecond)
	}
	return e, nil
}

// listEntries answers with the entries of the account's lists, newest first.
func (a *API) listEntries(q *request) (any, error) {
	limit, err := q.query.limit()
	if err != nil {
		return nil, err
	}

	after, err := q.query.after(id.FraudEntry, false)
	if err != nil {
		return nil, err
	}

	kind, err := q.query.oneOf("kind", "card", "bin", "email", "address", "country")
	if err != nil {
		return nil, err
	}

	book, err := a.rulebook()
	if err != nil {
		return nil, err
	}

	items, err := book.Lists(q.Context(), q.caller.account, q.caller.mode, rulebook.Kind(kind), after.ID, limit+1)
	if err != nil {
		return nil, err
	}

	return page(items, limit, showEntry, func(e rulebook.Entry) cursor { return cursor{ID: e.ID} }), nil
}

// createEntry adds an entry to the account's lists.
func (a *API) createEntry(q *request) (any, error) {
	var in entryBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := required(in.Kind.Set, "kind"); err != nil {
		return nil, err
	}
	if err := required(in.Value.Set, "value"); err != nil {
		return nil, err
	}

	e, err := in.entry(q)
	if err != nil {
		return nil, err
	}
	e.Kind, e.Value = rulebook.Kind(in.Kind.Value), in.Value.Value
	return a.putEntry(q, e)
}

// updateEntry replaces everything except kind and value.
func (a *API) updateEntry(q *request) (any, error) {
	var in updateEntryBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	e, err := in.entry(q)
	if err != nil {
		return nil, err
	}
	e.ID = q.PathValue("id")
	return a.putEntry(q, e)
}

// putEntry stores an entry and answers with it. The service decides by the id whether it is
// new.
func (a *API) putEntry(q *request, e rulebook.Entry) (any, error) {
	book, err := a.rulebook()
	if err != nil {
		return nil, err
	}
	e, err = book.PutListEntry(q.Context(), e, q.caller.by(), q.ticket)
	if err != nil {
		return nil, err
	}
	return showEntry(e), nil
}

// deleteEntry removes an entry.
func (a *API) deleteEntry(q *request) (any, error) {
	book, err := a.rulebook()
	if err != nil {
		return nil, err
	}
	if err := book.DeleteListEntry(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id")); err != nil {
		return nil, err
	}
	return deleted{ID: q.PathValue("id"), Object: "fraud_list_entry", Deleted: true}, nil
}

// What happens to an attempt that was not assessed in time.
const (
	timeoutAllow = "allow"
	timeoutBlock = "block"
)

// policyObject is the fraud policy of an account and mode. ReviewSeconds is how long a held
// payment waits for a verdict; 0 means until its authorization ends.
type policyObject struct {
	Object        string `json:"object"`
	OnTimeout     string `json:"onTimeout"`
	ReviewSeconds int64  `json:"reviewSeconds"`
	Mode          string `json:"mode"`
	UpdatedAt     string `json:"updatedAt,omitempty"`
}

// showPolicy renders a policy.
func showPolicy(p rulebook.Policy, mode string) policyObject {
	o := policyObject{
		Object:        "fraud_policy",
		OnTimeout:     timeoutBlock,
		ReviewSeconds: int64(p.ReviewFor / time.Second),
		Mode:          mode,
		UpdatedAt:     timeOrNone(p.UpdatedAt),
	}
	if p.FailOpen {
		o.OnTimeout = timeoutAllow
	}
	return o
}

// getPolicy answers with the policy of the account and mode.
func (a *API) getPolicy(q *request) (any, error) {
	book, err := a.rulebook()
	if err != nil {
		return nil, err
	}
	p, err := book.Policy(q.Context(), q.caller.account, q.caller.mode)
	if err != nil {
		return nil, err
	}
	return showPolicy(p, q.caller.mode), nil
}

// policyBody changes the policy; an absent member keeps its value.
type policyBody struct {
	OnTimeout     field[string] `json:"onTimeout"`
	ReviewSeconds field[int64]  `json:"reviewSeconds"`
}

// putPolicy changes the given members and keeps the others. It reads the policy and then
// writes it, so of two concurrent changes of different members one may be lost.
func (a *API) putPolicy(q *request) (any, error) {
	var in policyBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}

	book, err := a.rulebook()
	if err != nil {
		return nil, err
	}

	p, err := book.Policy(q.Context(), q.caller.account, q.caller.mode)
	if err != nil {
		return nil, err
	}

	if in.OnTimeout.Set {
		if in.OnTimeout.Value != timeoutAllow && in.OnTimeout.Value != timeoutBlock {
			return nil, fault.Invalid("onTimeout", "parameter_invalid", "onTimeout must be allow or block.")
		}
		p.FailOpen = in.OnTimeout.Value == timeoutAllow
	}

	if in.ReviewSeconds.Set {
		const most = 7 * 24 * 60 * 60 // above this the multiplication below could overflow
		if in.ReviewSeconds.Value < 0 || in.ReviewSeconds.Value > most {
			return nil, fault.Invalid(
				"reviewSeconds",
				"review_time_invalid",
				"reviewSeconds must be 0, or 3600 to %d seconds (an hour to seven days).",
				most,
			)
		}
		p.ReviewFor = time.Duration(in.ReviewSeconds.Value) * time.Second
	}

	p, err = book.PutPolicy(q.Context(), q.caller.account, q.caller.mode, p)
	if err != nil {
		return nil, err
	}

	return showPolicy(p, q.caller.mode), nil
}
