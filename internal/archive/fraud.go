package archive

import (
	"context"
	"fmt"

	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/payment"
)

// Limits of a model: its file is split into pieces, each of which fits a line.
const (
	maxModelBytes = 64 << 20
	pieceBytes    = 512 << 10 // two thirds of a line, in base64
)

// Fraud is one object of the rules of accounts and of the operator. Exactly one field is set. A
// rule is active, in shadow, or off; versions are all past and present versions, to which
// decisions refer.
type Fraud struct {
	Rule    *rulebook.Rule  `json:"rule,omitempty"`
	Version *rulebook.Rule  `json:"version,omitempty"`
	Entry   *rulebook.Entry `json:"entry,omitempty"`
	Policy  *Policy         `json:"policy,omitempty"`
}

// Policy of an account, or of the installation (empty account).
type Policy struct {
	Account string          `json:"account"`
	Mode    string          `json:"mode"`
	Policy  rulebook.Policy `json:"policy"`
}

// The kinds of fraud objects, as in the counts.
const (
	kindRules    = "rules"
	kindVersions = "rule versions"
	kindEntries  = "list entries"
	kindPolicies = "policies"
	kindModels   = "models"
)

func (f *Fraud) kind() string {
	switch {
	case f.Rule != nil:
		return kindRules
	case f.Version != nil:
		return kindVersions
	case f.Entry != nil:
		return kindEntries
	case f.Policy != nil:
		return kindPolicies
	}
	return ""
}

// Model is a model with its state and its file.
type Model struct {
	Info learning.Info
	File []byte
}

// modelLine is a piece of a model's file. The first piece has the model's data and the file's
// length.
type modelLine struct {
	Info  *learning.Info `json:"info,omitempty"`
	Bytes int            `json:"bytes,omitempty"`
	Data  []byte         `json:"data,omitempty"`
}

// putModel writes a model in as many lines as its file needs.
func (w *writer) putModel(m Model) error {
	if len(m.File) > maxModelBytes {
		return fmt.Errorf("the model %s of %d bytes is too large for an archive", m.Info.Version, len(m.File))
	}
	first := modelLine{Info: &m.Info, Bytes: len(m.File), Data: m.File[:min(len(m.File), pieceBytes)]}
	err := w.put(line{Model: &first})
	for rest := m.File[len(first.Data):]; err == nil && len(rest) > 0; {
		n := min(len(rest), pieceBytes)
		err = w.put(line{Model: &modelLine{Data: rest[:n]}})
		rest = rest[n:]
	}
	return err
}

// pieces reassembles a model.
type pieces struct {
	model Model
	bytes int // of the whole file
}

// take adds the next line; whole reports that it was the model's last.
func (p *pieces) take(l *modelLine) (whole bool, err error) {
	if l.Info != nil {
		if err := p.done(); err != nil {
			return false, err
		}
		if l.Bytes < 0 || l.Bytes > maxModelBytes {
			return false, fmt.Errorf("%w: a model of %d bytes", ErrDamaged, l.Bytes)
		}
		*p = pieces{model: Model{Info: *l.Info}, bytes: l.Bytes}
	} else if len(l.Data) == 0 {
		return false, fmt.Errorf("%w: a piece of a model holds nothing", ErrDamaged)
	}
	if len(p.model.File)+len(l.Data) > p.bytes {
		return false, fmt.Errorf("%w: a model is longer than declared", ErrDamaged)
	}
	p.model.File = append(p.model.File, l.Data...)
	return len(p.model.File) == p.bytes, nil
}

// done returns an error if pieces of a model are missing.
func (p *pieces) done() error {
	if len(p.model.File) != p.bytes {
		return fmt.Errorf("%w: a piece of the model %s is missing", ErrDamaged, p.model.Info.Version)
	}
	return nil
}

// exportFraud writes rules, lists, policies and models.
func exportFraud(ctx context.Context, from Source, w *writer) error {
	if err := from.EachFraud(ctx, func(f Fraud) error { return w.put(line{Fraud: &f}) }); err != nil {
		return err
	}
	return from.EachModel(ctx, w.putModel)
}

// addModel loads a model with the last of its pieces.
func (b *batch) addModel(ctx context.Context, l *modelLine) error {
	if err := b.flush(ctx); err != nil {
		return err
	}
	whole, err := b.model.take(l)
	if err != nil || !whole {
		return err
	}
	if err := b.to.LoadModel(ctx, b.model.model); err != nil {
		return fmt.Errorf("load the model %s: %w", b.model.model.Info.Version, err)
	}
	return nil
}

// card names a card of an account as an earlier version did, by a keyed hash.
type card struct{ account, mode, fingerprint string }

// cards are the cards in lists of an archive of an earlier version, with their coarse fingerprint,
// "" while no payment shows the card. Lists come before payments. Taken has each one that an entry
// has already.
type cards struct {
	coarse map[card]string
	taken  map[card]bool
}

// see notes an entry for a card, or completes it from a payment.
func (c *cards) see(l line) {
	switch {
	case l.Fraud != nil && l.Fraud.Entry != nil && l.Fraud.Entry.Kind == rulebook.KindCard:
		if e := l.Fraud.Entry; payment.IsOldFingerprint(e.Value) {
			c.coarse[card{e.Account, e.Mode, e.Value}] = ""
		} else {
			c.taken[card{e.Account, e.Mode, e.Value}] = true
		}
	case l.Payment != nil:
		p := l.Payment.Payment
		of := card{p.Account, p.Mode, p.Risk.Fingerprint}
		if _, listed := c.coarse[of]; listed {
			payment.Coarsen(&p)
			c.coarse[of] = p.Risk.Fingerprint
		}
	}
}

// rename gives an entry for a card its coarse fingerprint, unless that is unknown or taken.
func (c *cards) rename(e *rulebook.Entry) {
	now := card{e.Account, e.Mode, c.coarse[card{e.Account, e.Mode, e.Value}]}
	if e.Kind == rulebook.KindCard && now.fingerprint != "" && !c.taken[now] {
		c.taken[now] = true
		e.Value = now.fingerprint
	}
}
