package simulator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
)

// Kind is the kind of a book entry.
type Kind string

// The kinds. A tombstone is the reversal of a reference that the issuer had not seen: what
// arrives under it later is refused.
const (
	KindAuthorize Kind = "authorise"
	KindCapture   Kind = "capture"
	KindReverse   Kind = "reverse"
	KindRefund    Kind = "refund"
	KindTombstone Kind = "tombstone"
)

// BookEntry is one line of the issuer's own book.
//
// A reference has one authorize entry, or two if the issuer did not decide at once (outcome
// action required or pending first, then the decision). At most one of them is approved.
type BookEntry struct {
	Reference string // of the authorization
	Kind      Kind
	ID        string // of the operation; empty for authorize
	Minor     int64  // held, moved or released; the requested amount of a declined authorization; else 0
	Currency  money.Currency
	Last4     string // of the card; empty if the issuer never saw one
	At        time.Time
	Outcome   issuer.Outcome
	Captured  bool // authorized and captured in one step
}

// maxLineBytes bounds a journal line. All that goes into a line is bounded on entry.
const maxLineBytes = 16 << 10

// CodeBookDamaged is the code of the fault for a book whose lines do not fit together.
const CodeBookDamaged = "issuer_book_damaged"

// header is the first line of a journal.
type header struct {
	Book    string `json:"book"`
	Version int    `json:"version"`
	Seed    int64  `json:"seed"`
	Key     []byte `json:"key"` // challenge ids are derived with it
}

const (
	bookName    = "paylink simulator"
	bookVersion = 1
)

// record is a journal line: an entry, and what else the index needs.
type record struct {
	Kind      Kind           `json:"kind"`
	Reference string         `json:"ref"`
	ID        string         `json:"id,omitempty"`
	Outcome   string         `json:"outcome"`
	Minor     int64          `json:"minor"`
	Currency  money.Currency `json:"currency,omitempty"`
	Last4     string         `json:"last4,omitempty"`
	At        time.Time      `json:"at"`
	Captured  bool           `json:"captured,omitempty"`
	Reason    string         `json:"reason,omitempty"`
	Behaviour string         `json:"behaviour,omitempty"`
	DueAt     time.Time      `json:"dueAt,omitzero"`      // a pending authorization is decided then
	Statement string         `json:"statement,omitempty"` // shown by the challenge
	ReturnURL string         `json:"returnUrl,omitempty"`
	// Asked is what an operation requested, whether or not it moved anything.
	Asked         int64          `json:"asked,omitempty"`
	AskedCurrency money.Currency `json:"askedCurrency,omitempty"`
}

// outcomeNames are the names of outcomes in the journal: never change one.
var outcomeNames = map[issuer.Outcome]string{
	issuer.Approved: "approved", issuer.Declined: "declined", issuer.ActionRequired: "action_required",
	issuer.Reversed: "reversed", issuer.Pending: "pending",
}

// outcomeOf is the inverse of outcomeNames.
func outcomeOf(name string) (issuer.Outcome, bool) {
	for o, n := range outcomeNames {
		if n == name {
			return o, true
		}
	}
	return 0, false
}

// entry returns the record as a line of the book.
func (r record) entry() BookEntry {
	o, _ := outcomeOf(r.Outcome)
	return BookEntry{Reference: r.Reference, Kind: r.Kind, ID: r.ID, Minor: r.Minor, Currency: r.Currency,
		Last4: r.Last4, At: r.At, Outcome: o, Captured: r.Captured}
}

// journal is the append-only file. A line is written with one write(2), unbuffered, so it
// survives the death of the process. It is not synced, so the last lines may be lost in a power
// cut. Each line carries a checksum that continues the one before it, so a changed, missing or
// moved line is detected.
type journal struct {
	file *os.File
	size int64
	sum  uint32 // of the last line
	bad  error  // set if a torn line could not be cut off; nothing is written then
}

// place is where a line is in the journal.
type place struct {
	offset int64
	length int32
}

var (
	crcTable  = crc32.MakeTable(crc32.Castagnoli)
	sumPrefix = []byte(`,"crc":"`)
)

// sumBytes is the length of a line's end, after its content.
const sumBytes = len(`,"crc":"00000000"}`)

// seal returns v as a line whose checksum continues prev.
func seal(v any, prev uint32) ([]byte, uint32, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, 0, err
	}
	b = b[:len(b)-1]
	sum := crc32.Update(prev, crcTable, b)
	b = fmt.Appendf(b, `%s%08x"}`+"\n", sumPrefix, sum)
	if len(b) > maxLineBytes {
		return nil, 0, fmt.Errorf("a line of %d bytes exceeds %d", len(b), maxLineBytes)
	}
	return b, sum, nil
}

// unseal checks a line (without its newline) against the checksum before it.
func unseal(line []byte, prev uint32) (uint32, error) {
	if len(line) <= sumBytes {
		return 0, errors.New("too short")
	}

	body, tail := line[:len(line)-sumBytes], line[len(line)-sumBytes:]
	if !bytes.HasPrefix(tail, sumPrefix) || !bytes.HasSuffix(tail, []byte(`"}`)) {
		return 0, errors.New("no checksum")
	}

	sum := crc32.Update(prev, crcTable, body)
	if string(tail[len(sumPrefix):len(sumPrefix)+8]) != fmt.Sprintf("%08x", sum) {
		return 0, errors.New("the checksum does not fit")
	}

	return sum, nil
}

// append writes a record (or the header) and returns its place. After an error the journal
// is unchanged: a part that was written is cut off again. If that fails too, the journal
// takes nothing anymore.
func (j *journal) append(v any) (place, error) {
	if j.bad != nil {
		return place{}, j.bad
	}

	b, sum, err := seal(v, j.sum)
	if err != nil {
		return place{}, err
	}
	if _, err := j.file.Write(b); err != nil {
		if cut := j.file.Truncate(j.size); cut != nil {
			j.bad = fmt.Errorf("the book ends in a torn line: %w", errors.Join(err, cut))
		}
		return place{}, err
	}

	p := place{offset: j.size, length: int32(len(b))}
	j.size += int64(len(b))
	j.sum = sum
	return p, nil
}

// at reads the line at p. It may be called while others append, because lines never change.
func (j *journal) at(p place) (record, error) {
	b := make([]byte, p.length)
	if _, err := j.file.ReadAt(b, p.offset); err != nil {
		return record{}, err
	}
	var r record
	return r, json.Unmarshal(b, &r)
}

// scan reads a journal. It returns the header (with an empty Book if there is none yet), the
// size of the intact part, and the last checksum. A last line without its newline was torn by a
// crash before its answer was given, so it is left out. Anything else that does not fit is a
// fault.
func scan(r io.Reader, each func(record, place) error) (h header, size int64, sum uint32, err error) {
	in := bufio.NewReaderSize(r, maxLineBytes)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return h, size, sum, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return h, size, sum, damaged(n, fmt.Errorf("longer than %d bytes", maxLineBytes))
		case err != nil:
			return h, size, sum, err
		}
		if sum, err = unseal(line[:len(line)-1], sum); err != nil {
			return h, size, sum, damaged(n, err)
		}
		if n == 1 {
			if err := json.Unmarshal(line, &h); err != nil || h.Book != bookName || h.Version != bookVersion || len(h.Key) < keyBytes {
				return h, size, sum, damaged(n, errors.New("not the header of a simulator's book"))
			}
		} else {
			var rec record
			if err := json.Unmarshal(line, &rec); err != nil {
				return h, size, sum, damaged(n, err)
			}
			if err := each(rec, place{offset: size, length: int32(len(line))}); err != nil {
				return h, size, sum, damaged(n, err)
			}
		}
		size += int64(len(line))
	}
}

// damaged returns the fault of a line that does not fit.
func damaged(line int, cause error) error {
	f := fault.New(fault.KindInternal, CodeBookDamaged, "Line %d of the issuer's book is damaged.", line)
	f.Cause = cause
	return f
}

// OpenBook reads a journal that no simulator needs to have open, for instance after a
// crash. It changes nothing. It fails with issuer_book_damaged if the book is damaged; a
// torn last line is left out.
func OpenBook(path string) ([]BookEntry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var book []BookEntry
	check := newIndex()
	_, _, _, err = scan(f, func(rec record, p place) error {
		if err := check.apply(rec, p); err != nil {
			return err
		}
		book = append(book, rec.entry())
		return nil
	})
	if err != nil {
		return nil, err
	}

	return book, nil
}
