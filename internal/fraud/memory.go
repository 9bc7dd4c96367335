package fraud

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/fraud/shield"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// Limits of the memory.
const (
	// maxOpen is how many attempts are held by payment until their outcome arrives. One that is
	// dropped counts as attempted without an outcome.
	maxOpen = 1 << 18
	// maxLabelled is how many payments are held with their label, so that a later label replaces
	// it. For a payment that was dropped, a later label counts beside the earlier one.
	maxLabelled = 1 << 17
)

// memory is what the decision path knows of payments. Its lock is held briefly, and never during
// I/O.
type memory struct {
	mu      sync.Mutex
	history *score.History
	open    map[string]opened  // by payment
	labels  map[string]counted // by payment
	opens   ring
	labeled ring
}

// ring holds ids in order of arrival and overwrites the oldest. Its length is fixed.
type ring struct {
	ids  []string
	next int
}

// add adds an id, and returns the one that it overwrites, or "" while there is space.
func (r *ring) add(id string) (out string) {
	out, r.ids[r.next] = r.ids[r.next], id
	r.next = (r.next + 1) % len(r.ids)
	return out
}

// counted is how a payment counts; nothing while known is false. since is when the label became
// known.
type counted struct {
	keys         score.Keys
	known, fraud bool
	since        time.Time
}

// opened is an attempt that is counted while its outcome is not.
type opened struct {
	keys    score.Keys
	verdict *Verdict // the path's verdict; nil: from another instance
	blocked bool     // by us: the issuer was not called
	shield  shield.Attempt
}

// newMemory returns a memory that has not counted anything. h may be nil if the caller sets it
// before it is used.
func newMemory(h *score.History) *memory {
	return &memory{
		history: h,
		open:    map[string]opened{},
		labels:  map[string]counted{},
		opens:   ring{ids: make([]string, maxOpen)},
		labeled: ring{ids: make([]string, maxLabelled)},
	}
}

// before returns the verdict on an attempt without an outcome, or nil if it is not known here, its
// outcome is known, or it was dropped.
func (m *memory) before(id string) *Verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open[id].verdict
}

// attempt returns the features of an attempt and counts it, unless it is counted already. The
// features are of what was known before the attempt.
func (m *memory) attempt(a *score.Attempt, guarded shield.Attempt, v *score.Vector) {
	keys := m.history.Keys(a)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.history.FeaturesOf(keys, a, v)
	if _, known := m.open[a.ID]; !known {
		m.count(a, keys, opened{keys: keys, shield: guarded})
	}
}

// count counts an attempt. The lock must be held.
func (m *memory) count(a *score.Attempt, keys score.Keys, o opened) {
	m.history.Attempted(keys, a.At, a.Minor)
	m.put(a.ID, o)
}

// put stores an open attempt. The lock must be held.
func (m *memory) put(id string, o opened) {
	delete(m.open, m.opens.add(id))
	m.open[id] = o
}

// remember stores the verdict on an attempt, for repeated calls.
func (m *memory) remember(id string, v *Verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.open[id]; ok {
		o.verdict, o.blocked = v, v.Risk.Action == payment.Block
		m.open[id] = o
	}
}

// eventObject is the part of an event's object that is read. The object is a payment in the API's
// form.
type eventObject struct {
	ID       string         `json:"id"`
	Link     string         `json:"link"`
	Amount   string         `json:"amount"`
	Currency money.Currency `json:"currency"`
	Card     struct {
		Fingerprint string `json:"fingerprint"`
		BIN         string `json:"bin"`
	} `json:"card"`
	Payer struct {
		Email string `json:"email"`
	} `json:"payer"`
	Risk struct {
		Address    string         `json:"address"`
		Action     payment.Action `json:"action"`
		Label      string         `json:"label"`
		LabelledAt time.Time      `json:"labelledAt"`
	} `json:"risk"`
	Disputes []payment.Dispute `json:"disputes"`
}

// fraud returns what is known of the payment: whether it was fraud, and since when.
func (t *eventObject) fraud() (fraud bool, since time.Time, known bool) {
	return history.Row{Risk: payment.Risk{Label: t.Risk.Label, LabelledAt: t.Risk.LabelledAt}, Disputes: t.Disputes}.Fraud()
}

// word is the issuer's first answer to an attempt.
type word struct {
	attempt    shield.Attempt
	authorised bool
}

// apply counts what an event adds to the path's knowledge, and returns the issuer's answer if the
// event is one. An event may come again: an attempt counts once, an outcome only while the attempt
// is open, and a label replaces itself. The error says that the event cannot be read; nothing was
// counted then.
func (m *memory) apply(e *stream.Event, now time.Time) (w *word, err error) {
	at := e.CreatedAt
	if at.After(now) { // an account's test clock may be ahead; counting uses real time
		at = now
	}

	switch {
	case strings.HasPrefix(e.Type, "payment.") && e.ObjectSeq == 1:
		return nil, m.begun(e, at)
	case e.Type == "payment.authorized", e.Type == "payment.succeeded", e.Type == "payment.late":
		return m.answered(e.Object, at, score.Authorised), nil
	case e.Type == "payment.declined":
		return m.answered(e.Object, at, score.Declined), nil
	case strings.HasPrefix(e.Type, "fraud."), strings.HasPrefix(e.Type, "dispute."):
		return nil, m.addLabel(e, at)
	}

	return nil, nil
}

// begun counts an attempt that the feed reports first: another instance assessed it, or none did.
func (m *memory) begun(e *stream.Event, at time.Time) error {
	m.mu.Lock()
	_, known := m.open[e.Object]
	m.mu.Unlock()
	if known {
		return nil
	}

	t, a, err := attemptOf(e, at)
	if err != nil {
		return err
	}

	keys := m.history.Keys(&a)
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.open[e.Object]; !known { // the path may have been faster
		m.count(&a, keys, opened{keys: keys, blocked: t.Risk.Action == payment.Block,
			shield: shield.Attempt{
				Account: e.Account,
				Mode:    e.Mode,
				Link:    t.Link,
				Card:    t.Card.Fingerprint,
				BIN:     t.Card.BIN,
				Address: t.Risk.Address,
				Payment: e.Object,
			}})
	}
	return nil
}

// attemptOf returns the object of an event, and the attempt as features see it.
func attemptOf(e *stream.Event, at time.Time) (eventObject, score.Attempt, error) {
	var t eventObject
	if err := json.Unmarshal(e.Data, &t); err != nil {
		return t, score.Attempt{}, fmt.Errorf("event %s: %w", e.ID, err)
	}

	amount, err := money.Parse(t.Amount, t.Currency)
	if err != nil {
		return t, score.Attempt{}, fmt.Errorf("event %s: %w", e.ID, err)
	}
	return t, score.Attempt{ID: e.Object, Scope: score.Scope(e.Account, e.Mode, string(t.Currency)), At: at, Account: e.Account, Link: t.Link,
		Card: t.Card.Fingerprint, Cards: issuer.WithoutBucket(t.Card.Fingerprint), BIN: t.Card.BIN,
		Email: score.EmailKey(t.Payer.Email), Address: t.Risk.Address, Minor: amount.Minor}, nil
}

// answered counts the issuer's first answer to an open attempt, and returns it for the shield. It
// returns nil for an attempt that is not open here, or that was blocked: the issuer was not asked
// about that one.
func (m *memory) answered(id string, at time.Time, o score.Outcome) *word {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.open[id]
	if !ok {
		return nil
	}
	delete(m.open, id)

	if known.blocked {
		return nil
	}
	m.history.Answered(known.keys, at, o)
	known.shield.At = at
	return &word{known.shield, o == score.Authorised}
}

// addLabel counts a payment's label from when it is known. An earlier label no longer counts, as
// after a restart. A label that is withdrawn counts as none.
func (m *memory) addLabel(e *stream.Event, at time.Time) error {
	t, a, err := attemptOf(e, at)
	if err != nil {
		return err
	}

	fraud, since, known := t.fraud()
	if since.After(at) {
		since = at
	}

	keys := m.history.Keys(&a)
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.labels[e.Object]
	if before.known && known && before.fraud == fraud && before.since.UnixMilli() == since.UnixMilli() {
		return nil
	}

	if before.known {
		m.history.Unlearned(before.keys, before.fraud, before.since)
	}
	if known {
		m.history.Learned(keys, fraud, since)
	}

	if known || before.known {
		m.label(e.Object, counted{keys, known, fraud, since})
	}
	return nil
}

// label stores how a payment counts. The lock must be held.
func (m *memory) label(id string, c counted) {
	if _, known := m.labels[id]; !known {
		delete(m.labels, m.labeled.add(id))
	}
	m.labels[id] = c
}
