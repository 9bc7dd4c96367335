// Package archive moves everything that an installation stores from one store to another: from
// the embedded file to PostgreSQL, and to DynamoDB. An archive is a stream of JSON lines, one
// object each, that ends with a count per kind and a SHA-256 of all lines before it. A truncated
// or altered file is refused.
//
// Order: stop the servers, Export, Import into an empty store, verify both, start the new
// servers. After a crash, Import may be repeated with the same archive: an existing object is
// left unchanged.
//
// Secrets stay sealed in an archive. Copy the key files separately: they are not in it. Neither
// are balances, which derive from the events.
package archive

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// Limits of an archive.
const (
	version      = 3 // 2 added fraud rules, lists, policies and models, 3 who did what
	oldest       = 1 // oldest readable version
	maxLineBytes = 1 << 20
	batchObjects = 200
)

// ErrDamaged is returned for an archive that is not what Export wrote.
var ErrDamaged = errors.New("the archive is damaged")

// Source is the store that is read. Each method visits every object once, and events in order.
type Source interface {
	EachMerchant(context.Context, func(Merchant) error) error
	EachFraud(context.Context, func(Fraud) error) error
	EachModel(context.Context, func(Model) error) error
	EachLink(context.Context, func(link.Link, error) error) error
	EachForm(context.Context, func(link.Form, error) error) error
	EachPayment(context.Context, func(payment.Payment, error) error) error
	EachRecord(context.Context, func(idempotency.Record) error) error
	EachEvent(context.Context, func(stream.Event) error) error
	EachJob(context.Context, func(notify.Job) error) error
	// The position in the feed up to which the notifier has queued jobs.
	FeedPosition(context.Context) (position int64, err error)
}

// Sink is the store that is filled. A call loads all of its objects or none. Existing objects
// stay unchanged, and that is not an error.
type Sink interface {
	// Empty reports whether the sink holds nothing that an archive could load.
	Empty(context.Context) (bool, error)
	LoadMerchants(context.Context, []Merchant) error
	LoadFraud(context.Context, []Fraud) error
	LoadModel(context.Context, Model) error
	LoadLinks(context.Context, []link.Link) error
	LoadForms(context.Context, []link.Form) error
	LoadPayments(context.Context, []payment.Payment) error
	LoadRecords(context.Context, []idempotency.Record) error
	// LoadEvents keeps each event's Seq, and marks those that the notifier has handled.
	LoadEvents(ctx context.Context, events []stream.Event, position int64) error
	LoadJobs(context.Context, []notify.Job) error
}

// Merchant is one object of users and their accounts. Exactly one field is set.
type Merchant struct {
	Account  *merchant.Account `json:"account,omitempty"`
	User     *merchant.User    `json:"user,omitempty"`
	Key      *merchant.Key     `json:"key,omitempty"`
	Session  *merchant.Session `json:"session,omitempty"`
	Guard    *Guard            `json:"guard,omitempty"`
	Token    *merchant.Token   `json:"token,omitempty"`
	Endpoint *notify.Endpoint  `json:"endpoint,omitempty"`
	Delivery *notify.Delivery  `json:"delivery,omitempty"`
	Activity *activity.Event   `json:"activity,omitempty"`
}

// Guard adds the columns that a guard's own JSON omits.
type Guard struct {
	Guard    merchant.Guard `json:"guard"`
	Revision int64          `json:"revision"`
}

// line is one object, or the end. In every version the first line has the version and the
// notifier's position, so that a newer version is reported as such.
type line struct {
	Version      int                 `json:"version,omitempty"`
	FeedPosition *int64              `json:"told,omitempty"`
	Merchant     *Merchant           `json:"merchant,omitempty"`
	Fraud        *Fraud              `json:"fraud,omitempty"`
	Model        *modelLine          `json:"model,omitempty"`
	Link         *linkLine           `json:"link,omitempty"`
	Form         *link.Form          `json:"form,omitempty"`
	Payment      *paymentLine        `json:"payment,omitempty"`
	Record       *idempotency.Record `json:"record,omitempty"`
	Event        *eventLine          `json:"event,omitempty"`
	Job          *notify.Job         `json:"job,omitempty"`
	End          *end                `json:"end,omitempty"`
}

// linkLine adds the columns that a link's own JSON omits.
type linkLine struct {
	Link  link.Link  `json:"link"`
	State link.State `json:"state"`
}

type paymentLine struct {
	Payment  payment.Payment `json:"payment"`
	Revision int64           `json:"revision"`
}

type eventLine struct {
	Event     stream.Event      `json:"event"`
	Position  int64             `json:"position"`
	Account   string            `json:"account"`
	Object    string            `json:"object"`
	Transfers []ledger.Transfer `json:"transfers,omitempty"`
}

type end struct {
	Counts Counts `json:"counts"`
	SHA256 string `json:"sha256"` // of all lines before, in hexadecimal
}

// Counts is the number of objects of an archive, by kind.
type Counts map[string]int64

// kind returns an object's kind, as in the counts.
func (l line) kind() string {
	switch {
	case l.Merchant != nil:
		return "merchants"
	case l.Fraud != nil:
		return l.Fraud.kind()
	case l.Model != nil:
		return kindModels
	case l.Link != nil:
		return "links"
	case l.Form != nil:
		return "forms"
	case l.Payment != nil:
		return "payments"
	case l.Record != nil:
		return "records"
	case l.Event != nil:
		return "events"
	case l.Job != nil:
		return "jobs"
	}
	return ""
}

// count adds the object of a line. A piece of a model does not count by itself.
func (c Counts) count(l line) {
	if kind := l.kind(); kind != "" && (l.Model == nil || l.Model.Info != nil) {
		c[kind]++
	}
}

// Export writes everything in the source. A damaged object ends it with an error: an incomplete
// archive is useless.
func Export(ctx context.Context, from Source, to io.Writer) (Counts, error) {
	w := &writer{out: bufio.NewWriterSize(to, 1<<16), hash: sha256.New(), counts: Counts{}}
	position, err := from.FeedPosition(ctx)
	if err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		func() error { return w.put(line{Version: version, FeedPosition: &position}) },
		func() error {
			return from.EachMerchant(ctx, func(m Merchant) error { return w.put(line{Merchant: &m}) })
		},
		func() error { return exportFraud(ctx, from, w) },
		func() error {
			return from.EachLink(ctx, func(l link.Link, damage error) error {
				return errors.Join(damage, w.put(line{Link: &linkLine{Link: l, State: l.State()}}))
			})
		},
		func() error {
			return from.EachForm(ctx, func(f link.Form, damage error) error { return errors.Join(damage, w.put(line{Form: &f})) })
		},
		func() error {
			return from.EachPayment(ctx, func(p payment.Payment, damage error) error {
				return errors.Join(damage, w.put(line{Payment: &paymentLine{Payment: p, Revision: p.Revision}}))
			})
		},
		func() error {
			return from.EachRecord(ctx, func(r idempotency.Record) error { return w.put(line{Record: &r}) })
		},
		func() error {
			return from.EachEvent(ctx, func(e stream.Event) error {
				return w.put(line{Event: &eventLine{Event: e, Position: e.Position, Account: e.Account, Object: e.Object, Transfers: e.Transfers}})
			})
		},
		func() error { return from.EachJob(ctx, func(j notify.Job) error { return w.put(line{Job: &j}) }) },
		func() error {
			return w.put(line{End: &end{Counts: w.counts, SHA256: hex.EncodeToString(w.hash.Sum(nil))}})
		},
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return w.counts, w.out.Flush()
}

type writer struct {
	out    *bufio.Writer
	hash   hash.Hash
	counts Counts
}

func (w *writer) put(l line) error {
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if len(raw) >= maxLineBytes {
		return fmt.Errorf("an object of %d bytes is too large for an archive", len(raw))
	}
	w.counts.count(l)
	raw = append(raw, '\n')
	_, _ = w.hash.Write(raw) // a hash never fails
	_, err = w.out.Write(raw)
	return err
}

// Import fills the sink. It reads the archive twice, so that nothing is loaded before the whole
// archive is verified. again means that an import of this archive was begun before; otherwise a
// sink that is not empty is refused.
func Import(ctx context.Context, from io.ReadSeeker, to Sink, again bool) (Counts, error) {
	listed := cards{map[card]string{}, map[card]bool{}}
	counts, position, err := check(from, &listed)
	if err != nil {
		return nil, err
	}
	if !again {
		empty, err := to.Empty(ctx)
		if err != nil {
			return nil, err
		}
		if !empty {
			return nil, errors.New("the store is not empty: import into a new store, or continue an interrupted import with --again")
		}
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	b := &batch{to: to, position: position, listed: &listed}
	err = eachLine(from, func(l line, _ []byte) error { return b.add(ctx, l) })
	if err == nil {
		err = b.flush(ctx)
	}
	return counts, err
}

// check reads to the end, compares checksum and counts, and gathers the cards in lists.
func check(from io.Reader, listed *cards) (counts Counts, position int64, err error) {
	sum := sha256.New()
	counts = Counts{}
	var model pieces
	first, ended := true, false
	err = eachLine(from, func(l line, raw []byte) (err error) {
		switch {
		case first && (l.Version < oldest || l.Version > version):
			return fmt.Errorf("%w: its version is %d, this binary reads %d to %d", ErrDamaged, l.Version, oldest, version)
		case first && l.FeedPosition == nil, ended:
			return ErrDamaged
		case first:
			position = *l.FeedPosition
		case l.End != nil:
			ended = true
			if l.End.SHA256 != hex.EncodeToString(sum.Sum(nil)) || !maps.Equal(l.End.Counts, counts) {
				return fmt.Errorf("%w: its checksum or counts do not match", ErrDamaged)
			}
			err = model.done()
		case l.kind() == "":
			return fmt.Errorf("%w: a line has no known content", ErrDamaged)
		case l.Model != nil:
			_, err = model.take(l.Model)
			counts.count(l)
		default:
			counts.count(l)
			listed.see(l)
		}
		first = false
		_, _ = sum.Write(raw)
		return err
	})
	if err == nil && !ended {
		err = fmt.Errorf("%w: it is incomplete", ErrDamaged)
	}
	return counts, position, err
}

func eachLine(from io.Reader, visit func(l line, raw []byte) error) error {
	lines := bufio.NewReaderSize(from, maxLineBytes)
	for {
		raw, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(raw) == 0 {
			return nil
		}
		if err != nil {
			return errors.Join(ErrDamaged, err)
		}
		var l line
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&l); err != nil {
			return errors.Join(ErrDamaged, err)
		}
		if err := visit(l, raw); err != nil {
			return err
		}
	}
}

// batch collects objects of one kind until there are enough, or the next kind begins.
type batch struct {
	to       Sink
	position int64
	listed   *cards
	kind     string
	n        int

	model     pieces // the one that is being read
	merchants []Merchant
	fraud     []Fraud
	links     []link.Link
	forms     []link.Form
	payments  []payment.Payment
	records   []idempotency.Record
	events    []stream.Event
	jobs      []notify.Job
}

func (b *batch) add(ctx context.Context, l line) error {
	if l.Model != nil {
		return b.addModel(ctx, l.Model)
	}
	kind := l.kind()
	if kind != b.kind || b.n >= batchObjects {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	b.kind, b.n = kind, b.n+1
	switch {
	case l.Merchant != nil:
		b.merchants = append(b.merchants, *l.Merchant)
	case l.Fraud != nil:
		if l.Fraud.Entry != nil {
			b.listed.rename(l.Fraud.Entry)
		}
		b.fraud = append(b.fraud, *l.Fraud)
	case l.Link != nil:
		b.links = append(b.links, l.Link.Link.With(l.Link.State))
	case l.Form != nil:
		b.forms = append(b.forms, *l.Form)
	case l.Payment != nil:
		p := l.Payment.Payment
		p.Revision = l.Payment.Revision
		payment.Coarsen(&p)
		b.payments = append(b.payments, p)
	case l.Record != nil:
		b.records = append(b.records, *l.Record)
	case l.Event != nil:
		e := l.Event.Event
		e.Position, e.Account, e.Object, e.Transfers = l.Event.Position, l.Event.Account, l.Event.Object, l.Event.Transfers
		b.events = append(b.events, e)
	case l.Job != nil:
		b.jobs = append(b.jobs, *l.Job)
	}
	return nil
}

func (b *batch) flush(ctx context.Context) (err error) {
	switch b.kind {
	case "merchants":
		err = b.to.LoadMerchants(ctx, b.merchants)
	case kindRules, kindVersions, kindEntries, kindPolicies:
		err = b.to.LoadFraud(ctx, b.fraud)
	case "links":
		err = b.to.LoadLinks(ctx, b.links)
	case "forms":
		err = b.to.LoadForms(ctx, b.forms)
	case "payments":
		err = b.to.LoadPayments(ctx, b.payments)
	case "records":
		err = b.to.LoadRecords(ctx, b.records)
	case "events":
		err = b.to.LoadEvents(ctx, b.events, b.position)
	case "jobs":
		err = b.to.LoadJobs(ctx, b.jobs)
	}
	if err != nil {
		return fmt.Errorf("load %s: %w", b.kind, err)
	}
	*b = batch{to: b.to, position: b.position, listed: b.listed, model: b.model}
	return nil
}
