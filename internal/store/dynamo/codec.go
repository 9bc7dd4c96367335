package dynamo

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/stream"
)

// A blob is an object's document with all its events, compressed together: what
// an event repeats of the document costs next to nothing. It is
//
//	version 1 byte, 1 · CRC-32C of the plain text 4 bytes · deflate with the dictionary
//
// and the plain text is a list of pieces, each with its length before it: the
// document, then for each event its head and its data as they were given.
const (
	blobVersion   = 1
	blobHead      = 1 + 4
	maxPlainBytes = 8 << 20 // 64 entries with 28 KiB of metadata each are a quarter of it
	compression   = 9
	sharedBytes   = 200 // longer metadata is cut out of the events
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errBlob    = errors.New("the blob is not one of ours")
	deflaters  = sync.Pool{New: func() any {
		w, err := flate.NewWriterDict(nil, compression, []byte(dictionary))
		if err != nil {
			panic("dynamo: " + err.Error()) // the level is a constant
		}
		return w
	}}
)

// eventHead is an event without its data. What follows from the item is left out.
type eventHead struct {
	ID        string            `json:"i,omitempty"` // empty: derived from object and seq
	Type      string            `json:"t"`
	Object    string            `json:"o,omitempty"` // empty: the item's own
	Seq       int64             `json:"s"`
	At        int64             `json:"a"` // microseconds
	Cut       int               `json:"c,omitempty"`
	Transfers []ledger.Transfer `json:"x,omitempty"`
}

// owner is what the events of an item share.
type owner struct{ object, account, mode string }

// sealedEvent is an event as stored in a blob: its head and its data.
type sealedEvent [2][]byte

// seal returns the blob of a document with its existing and new events, and all of these events.
// The existing ones are copied as they are, so an event never changes after it is written. An event
// of another account or mode is an error.
func seal(o owner, doc any, metadata map[string]string, had []sealedEvent, events []stream.Event) ([]byte, []sealedEvent, error) {
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, nil, err
	}
	shared, err := sharedText(metadata)
	if err != nil {
		return nil, nil, err
	}

	all := had[:len(had):len(had)]
	for _, e := range events {
		if e.Account != o.account || e.Mode != o.mode {
			return nil, nil, fmt.Errorf("event %s is of another account or mode than %s", e.ID, o.object)
		}
		sealed, err := sealEvent(o, shared, e)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, sealed)
	}

	plain := appendPiece(nil, packHashes(raw))
	for _, e := range all {
		plain = appendPiece(appendPiece(plain, e[0]), e[1])
	}
	blob, err := pack(plain)
	return blob, all, err
}

// sealEvent returns the stored form of an event. What the item already says is left out, and
// decodeEvents restores it: ids that can be derived, long metadata, and the token of the payment's
// link.
func sealEvent(o owner, shared []byte, e stream.Event) (sealedEvent, error) {
	h := eventHead{ID: e.ID, Type: e.Type, Seq: e.ObjectSeq, At: e.CreatedAt.UnixMicro(), Transfers: e.Transfers}
	data := bytes.Clone(e.Data)
	if e.Object != o.object {
		h.Object = e.Object
		data = tokenText.ReplaceAll(data, []byte{'/', 'l', '/', lentToken, '"'})
	}

	if e.ID == derivedID(e.Object, e.ObjectSeq) {
		h.ID = ""
	}

	// The compressor looks back 32 KiB, so long metadata is not left to it.
	if at := bytes.Index(data, shared); len(shared) > 0 && at > 0 {
		h.Cut = at
		data = append(bytes.Clone(data[:at]), data[at+len(shared):]...)
	}

	head, err := json.Marshal(h)
	return sealedEvent{head, data}, err
}

// lentToken replaces a link's token in an event inside the item of its payment. The token is
// random, and the link's item has it.
const lentToken = 0x02

// tokenText matches the token in a link's address, up to the quote that ends the JSON text.
var tokenText = regexp.MustCompile(`/l/[A-Za-z0-9_-]{128,256}"`)

// derivedID returns the id of an object's event, which follows from its number.
func derivedID(object string, seq int64) string {
	return id.Derive(id.Event, object, strconv.FormatInt(seq, 10))
}

// sharedText returns the metadata as the events contain it, or nil if it is too short to be cut
// out.
func sharedText(metadata map[string]string) ([]byte, error) {
	raw, err := json.Marshal(metadata)
	if err != nil || len(raw) < sharedBytes {
		return nil, err
	}
	return raw, nil
}

// appendPiece appends a piece with its length before it, as a varint.
func appendPiece(b, piece []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(piece))), piece...)
}

// pack compresses plain and puts version and checksum before it. It refuses more than
// maxPlainBytes.
func pack(plain []byte) ([]byte, error) {
	if len(plain) > maxPlainBytes {
		return nil, fmt.Errorf("an item of %d bytes is too large", len(plain))
	}
	var out bytes.Buffer
	out.WriteByte(blobVersion)
	out.Write(binary.BigEndian.AppendUint32(nil, crc32.Checksum(plain, castagnoli)))

	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// unpack is the inverse of pack. It reads at most maxPlainBytes, whatever the blob claims, and
// returns an error if the version or the checksum does not fit.
func unpack(blob []byte) ([]byte, error) {
	if len(blob) < blobHead || blob[0] != blobVersion {
		return nil, errBlob
	}

	plain, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(bytes.NewReader(blob[blobHead:]), []byte(dictionary)), maxPlainBytes))
	if err != nil {
		return nil, err
	}
	if crc32.Checksum(plain, castagnoli) != binary.BigEndian.Uint32(blob[1:]) {
		return nil, errors.New("the checksum does not fit")
	}
	return plain, nil
}

// rawHash precedes the 32 bytes of a log entry's hash, which cannot be compressed: as text the
// hashes would be a fifth of a payment. JSON does not contain this character.
const rawHash = 0x01

// hashText matches a log entry's hash in a document.
var hashText = regexp.MustCompile(`"hash":"[0-9a-f]{64}"`)

// packHashes replaces the hexadecimal hashes of a document by rawHash and their bytes.
func packHashes(doc []byte) []byte {
	return hashText.ReplaceAllFunc(doc, func(found []byte) []byte {
		text := found[len(`"hash":"`) : len(found)-1]
		raw := make([]byte, hex.DecodedLen(len(text)))
		_, _ = hex.Decode(raw, text) // the expression matches hexadecimal only
		return append(append([]byte(`"hash":"`), rawHash), append(raw, '"')...)
	})
}

// unpackHashes is the inverse of packHashes. It returns errBlob if a hash is cut off.
func unpackHashes(doc []byte) ([]byte, error) {
	var out []byte
	for {
		at := bytes.IndexByte(doc, rawHash)
		if at < 0 {
			return append(out, doc...), nil
		}
		if len(doc) < at+1+sha256.Size {
			return nil, errBlob
		}
		out = hex.AppendEncode(append(out, doc[:at]...), doc[at+1:at+1+sha256.Size])
		doc = doc[at+1+sha256.Size:]
	}
}

// pieces are the parts of an opened blob: the document as JSON, and the events as stored.
type pieces struct {
	doc    []byte
	events []sealedEvent
}

// open reads a blob. It returns an error for anything that is not exactly what was written.
func open(blob []byte) (pieces, error) {
	plain, err := unpack(blob)
	if err != nil {
		return pieces{}, err
	}

	var all [][]byte
	for len(plain) > 0 {
		n, used := binary.Uvarint(plain)
		if used <= 0 || n > uint64(len(plain)-used) {
			return pieces{}, errBlob
		}
		all = append(all, plain[used:used+int(n)])
		plain = plain[used+int(n):]
	}
	// The document, then two pieces for each event.
	if len(all)%2 != 1 {
		return pieces{}, errBlob
	}

	p := pieces{}
	if p.doc, err = unpackHashes(all[0]); err != nil {
		return pieces{}, err
	}
	for i := 1; i < len(all); i += 2 {
		p.events = append(p.events, sealedEvent{all[i], all[i+1]})
	}

	return p, nil
}

// has reports whether the blob contains an event with this id. The metadata does not matter for
// that.
func (p pieces) has(o owner, eventID string) (bool, error) {
	events, err := p.decodeEvents(o, nil, 0)
	return slices.ContainsFunc(events, func(e stream.Event) bool { return e.ID == eventID }), err
}

// decodeEvents returns the events from the n-th on. Tokens that another item lends are still
// missing; see complete.
func (p pieces) decodeEvents(o owner, metadata map[string]string, from int) ([]stream.Event, error) {
	shared, err := sharedText(metadata)
	if err != nil {
		return nil, err
	}

	var list []stream.Event
	for _, piece := range p.events[min(max(from, 0), len(p.events)):] {
		var h eventHead
		if err := json.Unmarshal(piece[0], &h); err != nil {
			return nil, err
		}

		e := stream.Event{ID: h.ID, Type: h.Type, Account: o.account, Mode: o.mode, Object: h.Object, ObjectSeq: h.Seq,
			CreatedAt: fromMicros(h.At), Transfers: h.Transfers, Data: piece[1]}

		if e.Object == "" {
			e.Object = o.object
		}
		if e.ID == "" {
			e.ID = derivedID(e.Object, e.ObjectSeq)
		}

		if h.Cut > 0 {
			if h.Cut > len(piece[1]) {
				return nil, errBlob
			}
			e.Data = append(append(bytes.Clone(piece[1][:h.Cut]), shared...), piece[1][h.Cut:]...)
		}
		list = append(list, e)
	}

	return list, nil
}

// damaged returns the fault of an item that cannot be decoded or is not the one that its key names.
// The item is never served.
func damaged(object, id string, cause error) error {
	f := fault.New(
		fault.KindInternal,
		object+"_damaged",
		"The stored %s %s is damaged and is not served. Restore it from a backup.",
		object,
		id,
	)
	f.Cause = cause
	return f
}

// micros returns t in microseconds since 1970, or 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the inverse of micros.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
