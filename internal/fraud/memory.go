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
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// Bounds of the memory.
const (
	// maxOpen attempts are known by their payment until their outcome is told. One that
	// fell out counts as attempted, and its outcome as never told.
	maxOpen = 1 << 18
	// maxLabelled payments are known with what they turned out to be, so that a later
	// word replaces it. Of one that fell out, a later word counts beside the former.
	maxLabelled = 1 << 17
)

// memory is what is known of payments, for the path. What is done under its lock is
// short, and reads nothing from anywhere.
type memory struct {
	mu      sync.Mutex
	history *score.History
	open    map[string]opened  // by payment
	labels  map[string]counted // by payment
	opens   ring
	labeled ring
}

// ring is ids as they came; the oldest is overwritten.
type ring struct {
	ids  []string
	next int
}

// add an id, and give the one that it overwrites.
func (r *ring) add(id string) (out string) {
	out, r.ids[r.next] = r.ids[r.next], id
	r.next = (r.next + 1) % len(r.ids)
	return out
}

// counted is what a payment is counted as; nothing while known is false.
type counted struct {
	keys         score.Keys
	known, fraud bool
	since        time.Time
}

// opened is an attempt that is counted and whose outcome is not.
type opened struct {
	keys    score.Keys
	verdict *Verdict // what the path said of it; nil: another instance did
	blocked bool     // by us: the issuer said nothing
	shield  shield.Attempt
}

func newMemory(h *score.History) *memory {
	return &memory{history: h, open: map[string]opened{}, labels: map[string]counted{}, opens: ring{ids: make([]string, maxOpen)}, labeled: ring{ids: make([]string, maxLabelled)}}
}

// before is what was said of an attempt that is not answered yet; nil: nothing.
func (m *memory) before(id string) *Verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open[id].verdict
}

// attempt gives the features of an attempt and counts it, unless it is counted
// already.
func (m *memory) attempt(a *score.Attempt, guarded shield.Attempt, v *score.Vector) {
	keys := m.history.Keys(a)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.history.FeaturesOf(keys, a, v)
	if _, known := m.open[a.ID]; !known {
		m.count(a, keys, opened{keys: keys, shield: guarded})
	}
}

// count an attempt; the lock is held.
func (m *memory) count(a *score.Attempt, keys score.Keys, o opened) {
	m.history.Attempted(keys, a.At, a.Minor)
	m.put(a.ID, o)
}

// put keeps an open attempt; the lock is held.
func (m *memory) put(id string, o opened) {
	delete(m.open, m.opens.add(id))
	m.open[id] = o
}

// said keeps what the path said of an attempt, for who asks again.
func (m *memory) said(id string, v *Verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.open[id]; ok {
		o.verdict, o.blocked = v, v.Risk.Action == payment.Block
		m.open[id] = o
	}
}

// told is what is read of an event's object.
type told struct {
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

// fraud is what is known of the payment.
func (t *told) fraud() (fraud bool, since time.Time, known bool) {
	return history.Row{Risk: payment.Risk{Label: t.Risk.Label, LabelledAt: t.Risk.LabelledAt}, Disputes: t.Disputes}.Fraud()
}

// word is the issuer's first one on an attempt.
type word struct {
	attempt    shield.Attempt
	authorised bool
}

// apply counts what an event tells and the path has not seen, and gives the issuer's
// word if the event is one.
func (m *memory) apply(e *stream.Event, now time.Time) (w *word, err error) {
	at := e.CreatedAt
	if at.After(now) { // an account's test clock may be ahead; what is counted is real time
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
		return nil, m.labelled(e, at)
	}
	return nil, nil
}

// begun counts an attempt that the feed tells first: another instance assessed it,
// or nobody did.
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
	if _, known := m.open[e.Object]; !known { // the path may have been quicker
		m.count(&a, keys, opened{keys: keys, blocked: t.Risk.Action == payment.Block,
			shield: shield.Attempt{Account: e.Account, Mode: e.Mode, Link: t.Link, Card: t.Card.Fingerprint, BIN: t.Card.BIN, Address: t.Risk.Address, Payment: e.Object}})
	}
	return nil
}

func attemptOf(e *stream.Event, at time.Time) (told, score.Attempt, error) {
	var t told
	if err := json.Unmarshal(e.Data, &t); err != nil {
		return t, score.Attempt{}, fmt.Errorf("event %s: %w", e.ID, err)
	}
	amount, err := money.Parse(t.Amount, t.Currency)
	if err != nil {
		return t, score.Attempt{}, fmt.Errorf("event %s: %w", e.ID, err)
	}
	return t, score.Attempt{ID: e.Object, Scope: score.Scope(e.Account, e.Mode, string(t.Currency)), At: at, Account: e.Account, Link: t.Link,
		Card: t.Card.Fingerprint, BIN: t.Card.BIN, Email: score.EmailKey(t.Payer.Email), Address: t.Risk.Address, Minor: amount.Minor}, nil
}

// answered counts the issuer's first word on an open attempt.
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

// labelled counts what a payment turned out to be, from when it is known. What was
// known of it before is not counted any more, as a start would count it.
func (m *memory) labelled(e *stream.Event, at time.Time) error {
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

// label keeps what a payment is counted as; the lock is held.
func (m *memory) label(id string, c counted) {
	if _, known := m.labels[id]; !known {
		delete(m.labels, m.labeled.add(id))
	}
	m.labels[id] = c
}
