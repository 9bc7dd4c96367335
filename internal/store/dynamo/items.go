package dynamo

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// The attributes. Their names have one letter because names cost storage.
const (
	attrPartition = "pk"
	attrSort      = "sk"
	attrBlob      = "b" // document and events
	attrEvents    = "n" // number of events in the blob
	attrDue       = "d" // shard of the due index; absent: nothing is due
	attrDueAt     = "e" // microseconds

	attrRevision = "r" // of a payment
	attrHistory  = "h" // of a payment: mode, creation time, id; sorts the history
	attrNamed    = "i" // of a payment whose id does not show its partition
	attrUsedAt   = "u" // of a payment: when it completed the only use of its link

	attrMaxUses  = "m" // of a link, 0 unlimited
	attrUses     = "k"
	attrReserved = "v"
	attrLeft     = "l" // uses that may still be reserved
	attrLast     = "p" // the payment that last reserved a use
	attrExpires  = "x"
	attrCanceled = "c" // absent: not canceled
	attrExpired  = "g" // absent: not recorded
	attrPaid     = "q" // absent: not paid, or only the last payment's item shows it

	attrBuckets = "z"  // of an account's meta item
	tagPrefix   = "T#" // partition of the accounts that share a tag

	inReview = "R" // shard of the due index that no sweep reads

	indexDue     = "due"
	indexHistory = "history"
	indexPayment = "payment"

	// unlimited is the number of uses left of a link without a limit.
	unlimited = int64(1) << 50
)

// key is the primary key of an item.
type key struct{ pk, sk string }

// item returns an item with nothing but the key.
func (k key) item() item { return item{attrPartition: str(k.pk), attrSort: str(k.sk)} }

// str, num and bin return attribute values.
func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
func bin(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

// text returns a string attribute, or "" if the item has none of that name and type.
func text(i item, name string) string {
	if v, ok := i[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

// number returns a number attribute, or 0.
func number(i item, name string) int64 {
	if v, ok := i[name].(*types.AttributeValueMemberN); ok {
		if n, err := strconv.ParseInt(v.Value, 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// bytesOf returns a binary attribute, or nil.
func bytesOf(i item, name string) []byte {
	if v, ok := i[name].(*types.AttributeValueMemberB); ok {
		return v.Value
	}
	return nil
}

// setNum sets a number attribute. Zero is stored as absent, which number reads as zero.
func (i itemBuilder) setNum(name string, n int64) {
	if n != 0 {
		i[name] = num(n)
	}
}

// itemBuilder is an item that is being built.
type itemBuilder item

// The beginnings of sort keys, which also name the kind of an object in the due index.
const (
	linkPrefix    = "L#"
	paymentPrefix = "P#"
)

// partition returns the partition of an account's bucket.
func partition(account string, bucket uint16) string {
	return "A#" + account + "#" + strconv.Itoa(int(bucket))
}

// accountOf returns the account of a partition, or "" if the partition is not an account's.
func accountOf(pk string) string {
	rest, ok := strings.CutPrefix(pk, "A#")
	if !ok {
		return ""
	}
	account, _, _ := strings.Cut(rest, "#")
	return account
}

// linkKey returns the key of a link, whose bucket is part of its id.
func linkKey(account, linkID string) key {
	return key{partition(account, id.Bucket(linkID)), linkPrefix + linkID}
}

// paymentKey returns the key of a payment, which is beside its link.
func paymentKey(account, linkID, paymentID string) key {
	return key{partition(account, id.Bucket(linkID)), paymentPrefix + paymentID}
}

// dueShard returns the shard of the due index in which an object waits; kind is linkPrefix or
// paymentPrefix. Shards keep the index from having one hot partition.
func dueShard(kind, object string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(object))
	return kind + strconv.Itoa(int(h.Sum32()%dueShards))
}

// historyKey sorts payments of one mode by creation time and then id. It is the first letter of the
// mode, the time in microseconds and the 16 bytes of the id. The empty id gives the start of the
// instant.
func historyKey(mode string, at time.Time, paymentID string) []byte {
	b := make([]byte, 0, 1+8+16)
	b = append(b, mode[0])
	b = binary.BigEndian.AppendUint64(b, uint64(at.UnixMicro()))
	raw, _ := id.Bytes(paymentID) // the zero id for none: the start of the instant
	return append(b, raw[:]...)
}

// stored is a payment with what its item contains beside the document.
type stored struct {
	payment.Payment
	beside
	earlier bool // the item has an earlier version's fingerprint of the card
}

// beside is what a payment's item contains beside the document.
type beside struct {
	events []sealedEvent
	usedAt int64 // micros; see attrUsedAt
}

// encodePayment returns the item of a payment with one more change, and what it then contains
// beside the document. Only a payment that waits for a time, or for a review, is in the due index.
func encodePayment(p payment.Payment, had beside, events []stream.Event) (item, beside, error) {
	blob, all, err := seal(owner{p.ID, p.Account, p.Mode}, p, p.Metadata, had.events, events)
	if err != nil {
		return nil, beside{}, err
	}

	i := itemBuilder(paymentKey(p.Account, p.Link, p.ID).item())
	i[attrBlob] = bin(blob)
	i[attrHistory] = bin(historyKey(p.Mode, p.CreatedAt, p.ID))
	i.setNum(attrRevision, p.Revision)
	i.setNum(attrEvents, int64(len(all)))
	i.setNum(attrUsedAt, had.usedAt)
	if _, _, placed := id.Placed(p.Link); !placed {
		i[attrNamed] = str("1")
	}

	if at := p.DueAt(); !at.IsZero() {
		i[attrDue], i[attrDueAt] = str(dueShard(paymentPrefix, p.ID)), num(at.UnixMicro())
	} else if p.Status == payment.Review { // nothing is due, but a person must find it
		i[attrDue], i[attrDueAt] = str(inReview), num(p.UpdatedAt.UnixMicro())
	}
	return item(i), beside{all, had.usedAt}, nil
}

// decodePayment returns the payment of an item. It returns damaged if the blob cannot be read or
// belongs to another item: a payment is only served from its own key.
func decodePayment(i item) (stored, error) {
	name := strings.TrimPrefix(text(i, attrSort), paymentPrefix)
	parts, err := open(bytesOf(i, attrBlob))
	if err != nil {
		return stored{}, damaged("payment", name, err)
	}
	var s stored
	if err := json.Unmarshal(parts.doc, &s.Payment); err != nil {
		return stored{}, damaged("payment", name, err)
	}
	if want := paymentKey(s.Account, s.Link, s.ID); want.sk != text(i, attrSort) || want.pk != text(i, attrPartition) {
		return stored{}, damaged("payment", name, fmt.Errorf("it claims to be %s of %s", s.ID, s.Account))
	}

	s.Revision, s.beside = number(i, attrRevision), beside{parts.events, number(i, attrUsedAt)}
	if payment.IsOldFingerprint(s.Risk.Fingerprint) || s.oldEvents() {
		s.earlier = true
		payment.Coarsen(&s.Payment)
		if s.events, err = coarsenEvents(s.events); err != nil {
			return stored{}, damaged("payment", name, err)
		}
	}
	return s, nil
}

// offer is a link with what its item contains beside the document.
type offer struct {
	link.Link
	pieces
}

// owner returns what the link's events share.
func (o offer) owner() owner { return owner{o.ID, o.Account, o.Mode} }

// count returns the number of events in the link's item.
func (o offer) count() int64 { return int64(len(o.events)) }

// encodeLink returns the item of a link with its events. A link that has not ended is due at its
// end.
func encodeLink(l link.Link, events []stream.Event) (item, error) {
	blob, _, err := seal(owner{l.ID, l.Account, l.Mode}, l, l.Metadata, nil, events)
	if err != nil {
		return nil, err
	}

	i := itemBuilder(linkKey(l.Account, l.ID).item())
	i[attrBlob] = bin(blob)
	i[attrExpires] = num(micros(l.ExpiresAt))
	i.setNum(attrEvents, int64(len(events)))
	i.setNum(attrMaxUses, l.MaxUses)
	i.setNum(attrUses, l.Uses)
	i.setNum(attrReserved, l.Reserved)
	i.setNum(attrCanceled, micros(l.CanceledAt))
	i.setNum(attrExpired, micros(l.ExpiredAt))
	i.setNum(attrPaid, micros(l.PaidAt))
	if l.LastPayment != "" {
		i[attrLast] = str(l.LastPayment)
	}

	left := unlimited
	if l.MaxUses > 0 {
		left = l.MaxUses - l.Uses - l.Reserved
	}
	i[attrLeft] = num(left)
	if l.CanceledAt.IsZero() && l.ExpiredAt.IsZero() && l.PaidAt.IsZero() {
		i[attrDue], i[attrDueAt] = str(dueShard(linkPrefix, l.ID)), num(micros(l.ExpiresAt))
	}

	return item(i), nil
}

// decodeLink returns the link according to its own item. view adds what only its payment's item
// shows. The counters and times are attributes, because commits change them without rewriting the
// blob; they replace the fields of the document.
func decodeLink(i item) (offer, error) {
	name := strings.TrimPrefix(text(i, attrSort), linkPrefix)
	parts, err := open(bytesOf(i, attrBlob))
	if err != nil {
		return offer{}, damaged("link", name, err)
	}
	o := offer{pieces: parts}
	if err := json.Unmarshal(parts.doc, &o.Link); err != nil {
		return offer{}, damaged("link", name, err)
	}

	if want := linkKey(o.Account, o.ID); want.sk != text(i, attrSort) || want.pk != text(i, attrPartition) {
		return offer{}, damaged("link", name, fmt.Errorf("it claims to be %s of %s", o.ID, o.Account))
	}

	o.Uses, o.Reserved, o.LastPayment = number(i, attrUses), number(i, attrReserved), text(i, attrLast)
	o.CanceledAt, o.ExpiredAt, o.PaidAt = fromMicros(
		number(i, attrCanceled),
	), fromMicros(
		number(i, attrExpired),
	), fromMicros(
		number(i, attrPaid),
	)
	return o, nil
}
