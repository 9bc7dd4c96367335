package dynamo

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// maxItemBytes is DynamoDB's limit.
const maxItemBytes = 400 << 10

func sizeOf(i item) (n int) {
	for name, v := range i {
		n += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			n += len(v.Value)
		case *types.AttributeValueMemberB:
			n += len(v.Value)
		case *types.AttributeValueMemberN:
			n += len(v.Value)/2 + 2
		}
	}
	return n
}

// TestBlob checks that what is sealed is opened exactly, event for event and byte for byte.
func TestBlob(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := owner{id.New(id.Payment), id.New(id.Account), link.Test}
		metadata := rapid.MapOfN(rapid.String(), rapid.StringN(0, 100, 400), 0, 8).Draw(t, "metadata")
		doc := map[string]any{"metadata": metadata, "hash": strings.Repeat("0a", 32), "text": rapid.String().Draw(t, "text")}
		var events []stream.Event
		for i := range rapid.IntRange(0, 6).Draw(t, "events") {
			object := rapid.SampledFrom([]string{o.object, "lnk_01arz3ndektsv4rrffq69g5fag"}).Draw(t, "object")
			data := fmt.Sprintf(`{"n":%d,"metadata":%s,"s":%q}`, i, must(sharedText(metadata)), rapid.StringMatching(`[a-z <>&"]*`).Draw(t, "s"))
			e := stream.Event{ID: derivedID(object, int64(i)+1), Type: "payment.created", Account: o.account, Mode: o.mode, Object: object,
				ObjectSeq: int64(i) + 1, CreatedAt: time.UnixMicro(rapid.Int64Range(1, 1<<50).Draw(t, "at")).UTC(), Data: []byte(data)}
			if rapid.Bool().Draw(t, "other") {
				e.ID, e.Transfers = id.New(id.Event), []ledger.Transfer{ledger.Capture("x", o.account, "simulator", money.Of(5, "EUR"))}
			}
			events = append(events, e)
		}
		half := len(events) / 2
		_, had, err := seal(o, doc, metadata, nil, events[:half])
		if err != nil {
			t.Fatal(err)
		}
		blob, all, err := seal(o, doc, metadata, had, events[half:])
		if err != nil || len(all) != len(events) {
			t.Fatal(len(all), err)
		}
		parts, err := open(blob)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parts.decodeEvents(o, metadata, 0)
		if err != nil || len(got) != len(events) {
			t.Fatal(len(got), err)
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], events[i]) {
				t.Fatalf("got  %+v\nwant %+v", got[i], events[i])
			}
		}
		if !bytes.Contains(parts.doc, []byte(strings.Repeat("0a", 32))) {
			t.Fatal("the hash is gone")
		}
		at := rapid.IntRange(0, len(blob)-1).Draw(t, "flipped")
		bad := bytes.Clone(blob)
		bad[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if again, err := open(bad); err == nil && !reflect.DeepEqual(again, parts) {
			t.Fatalf("a flipped bit at %d of %d was not noticed", at, len(blob))
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// noise returns text that no compressor shortens much.
func noise(t *testing.T, n int) string {
	t.Helper()
	raw := make([]byte, n/2)
	if _, err := rand.Read(raw); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(raw)
}

// TestTheLargestPaymentFits checks that a payment at every limit of the domain at once, with text
// that hardly compresses, stays below DynamoDB's limit for an item.
func TestTheLargestPaymentFits(t *testing.T) {
	metadata := map[string]string{}
	for range link.MaxMetadata {
		metadata[noise(t, 64)] = noise(t, link.MaxMetadataValueChars)
	}
	l := link.Link{
		ID:      id.New(id.Link),
		Account: id.New(id.Account),
		Mode:    link.Test,
		Payee:   noise(t, 200),
		Amount:  money.Of(2_000, "EUR"),
		Issuer:  "simulator",
		Description: noise(
			t,
			2000,
		),
		Reference:   noise(t, 800),
		Realm:       noise(t, 64),
		Metadata:    metadata,
		MaxUses:     1,
		ExpiresAt:   noon.Add(time.Hour),
		RedirectURL: noise(t, 2048),
		Capture:     link.CaptureAutomatic,
		LatePolicy:  link.LateAccept,
		Token:       noise(t, 204),
	}
	p := payment.Payment{
		ID:         payment.IDFor(l.ID, noise(t, 64)),
		Account:    l.Account,
		Mode:       l.Mode,
		Link:       l.ID,
		Attempt:    noise(t, 64),
		Issuer:     l.Issuer,
		Amount:     l.Amount,
		Capture:    l.Capture,
		LatePolicy: l.LatePolicy,
		LinkEndsAt: l.ExpiresAt,
		LinkUses:   1,
		PayerName:  noise(t, 400),
		PayerEmail: noise(t, 254),
		Realm:      l.Realm,
		Reference:  l.Reference,
		Metadata:   metadata,
		CreatedAt:  noon,
	}
	var had beside
	largest := 0
	step := func(in payment.Input) {
		in.Change, in.At, in.Actor = id.New(id.Change), noon, "merchant"
		c, err := payment.Next(p, in)
		if err != nil || c.Nothing {
			return
		}
		events := c.Events
		if c.Use == payment.UseComplete {
			paid, err := link.PaidEvent(l, "https://pay.example/l/"+l.Token, noon)
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, paid)
		}
		row, now, err := encodePayment(c.Payment, had, events)
		if err != nil {
			t.Fatal(err)
		}
		p, had = c.Payment, now
		largest = max(largest, sizeOf(row))
	}
	step(payment.Input{Kind: payment.Begin, Link: l})
	step(
		payment.Input{
			Kind:   payment.Sync,
			Answer: issuer.Answer{Outcome: issuer.Approved, Amount: p.Amount, Captured: true, IssuerReference: noise(t, 64), At: noon},
		},
	)
	for range payment.MaxRefunds {
		refund := id.New(id.Refund)
		step(payment.Input{Kind: payment.RefundAsked, Refund: refund, Amount: money.Of(1, p.Amount.Currency)})
		step(
			payment.Input{Kind: payment.RefundAnswer, Refund: refund, Answer: issuer.Answer{Outcome: issuer.Approved, Amount: money.Of(1, "EUR")}},
		)
	}
	t.Logf("%d log entries, %d events: %d bytes of %d", len(p.Log), len(had.events), largest, maxItemBytes)
	if len(p.Log) < 40 || largest > maxItemBytes/2 {
		t.Errorf("%d entries in %d bytes", len(p.Log), largest)
	}
}

// TestDamagedIsRefused checks that altered money is never served.
func TestDamagedIsRefused(t *testing.T) {
	l := link.Link{ID: id.New(id.Link), Account: id.New(id.Account), Mode: link.Test, ExpiresAt: noon, Amount: money.Of(5, "EUR")}
	row, err := encodeLink(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(item){
		"a flipped bit":          func(i item) { b := bytes.Clone(bytesOf(i, attrBlob)); b[9] ^= 4; i[attrBlob] = bin(b) },
		"another version":        func(i item) { b := bytes.Clone(bytesOf(i, attrBlob)); b[0] = 9; i[attrBlob] = bin(b) },
		"cut short":              func(i item) { i[attrBlob] = bin(bytesOf(i, attrBlob)[:20]) },
		"no document":            func(i item) { delete(i, attrBlob) },
		"another's document":     func(i item) { i[attrSort] = str(linkPrefix + id.New(id.Link)) },
		"in another's partition": func(i item) { i[attrPartition] = str(partition(id.New(id.Account), 0)) },
	} {
		bad := item{}
		for k, v := range row {
			bad[k] = v
		}
		spoil(bad)
		if _, err := decodeLink(bad); fault.Code(err) != "link_damaged" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
