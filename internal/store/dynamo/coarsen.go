package dynamo

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/progress"
)

// oldEvents reports whether an event has an earlier version's fingerprint of the card.
func (b beside) oldEvents() bool {
	return slices.ContainsFunc(b.events, func(e sealedEvent) bool { _, old, _ := payment.CoarsenEvent(e[1]); return old != "" })
}

// coarsenEvents returns the events of a payment without an earlier version's fingerprint. Where the
// metadata was cut out moves with the text before it.
func coarsenEvents(events []sealedEvent) ([]sealedEvent, error) {
	out := slices.Clone(events)
	for i, e := range out {
		_, old, now := payment.CoarsenEvent(e[1])
		if old == "" {
			continue
		}
		var h eventHead
		if err := json.Unmarshal(e[0], &h); err != nil {
			return nil, err
		}
		if h.Cut > len(e[1]) {
			return nil, errBlob
		}
		coarse := func(part []byte) []byte { return bytes.ReplaceAll(part, []byte(`"`+old+`"`), []byte(`"`+now+`"`)) }
		before := coarse(e[1][:h.Cut])
		out[i][1] = append(before, coarse(e[1][h.Cut:])...)
		if h.Cut > 0 {
			h.Cut = len(before)
			head, err := json.Marshal(h)
			if err != nil {
				return nil, err
			}
			out[i][0] = head
		}
	}
	return out, nil
}

// Coarsen replaces the fingerprints of cards that an earlier version stored in payments and their
// events, and returns how many payments it rewrote. It reads the whole table. It can be
// interrupted, repeated, and run beside servers: it changes nothing but the blob, and only one that
// nobody changed since it was read. The number of events stays, so no reader of the stream sees any.
// A damaged payment stays as it is.
func (s *Store) Coarsen(ctx context.Context, to progress.To) (rewritten int64, err error) {
	meter := to.Start("make the fingerprints of cards coarse", "items", 0)
	defer meter.End()
	return rewritten, s.scan(ctx, func(rows []item) error {
		meter.Add(int64(len(rows)))
		for _, row := range rows {
			if !isPayment(row) {
				continue
			}
			is, err := decodePayment(row)
			if err != nil || !is.earlier {
				continue
			}
			blob, _, err := seal(owner{is.ID, is.Account, is.Mode}, is.Payment, is.Metadata, is.events, nil)
			if err != nil {
				return err
			}
			changed := func(int, item, bool) error { return nil } // by another process, or an earlier try of this call
			if err := s.commit(ctx, "", []write{{key: keyOf(row), update: "SET b = :now", condition: "b = :was",
				values: values{":now": bin(blob), ":was": bin(bytesOf(row, attrBlob))}}}, changed); err != nil {
				return err
			}
			rewritten++
		}
		return nil
	})
}
