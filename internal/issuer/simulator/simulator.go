// Package simulator is the issuer of test mode. It approves, declines, challenges and
// misbehaves by card number, and keeps a book of its own to compare paylink's with.
//
// Contract: New opens the book. OnNotice is called once before the first Authorize. Calls are
// safe for concurrent use. Close ends what is running, and after it every call answers NotSent.
// Handler serves the 3-D Secure challenge under Config.PublicPath and expects the whole path,
// so mount it without stripping the prefix.
//
// Durability: an entry is written with one write(2) before the call answers, so answers survive
// kill -9 and a crash of paylink. They are not synced, and may be lost in a power cut. Notices
// that were not delivered when the process died are not sent again: an inquiry finds their
// outcome. The card's number never leaves the call that carries it; the book has its last four
// digits.
//
// The same calls at the same times give the same answers under the same seed, except for the
// addresses of challenges, which must not be guessable.
package simulator

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
)

// Name of the connector.
const Name = "simulator"

// Limits of what a call may carry, and the defaults of Config.
const (
	DefaultPublicPath = "/simulator"
	DefaultDowntime   = time.Minute
	DefaultSlowness   = 10 * time.Second // well within the deadline that callers give a call
	DefaultDispute    = 2 * time.Second

	evidenceTime = 7 * 24 * time.Hour // from a dispute until its evidence is due

	MinMinor = 1
	MaxMinor = 99_999_999

	maxNameBytes      = 200 // a reference or an operation's id
	maxStatementBytes = 100
	maxReturnURLBytes = 2048
	keyBytes          = 32
	macBytes          = 24 // of a challenge's id: 192 bits that cannot be guessed
)

// clockStep is the resolution of the book's times.
const clockStep = time.Microsecond

// Config holds the settings of a simulator.
type Config struct {
	BookPath   string           // the journal; created when missing, with its folder
	Seed       int64            // of issuer references; fixed when the book is created
	PublicPath string           // where Handler is mounted; default "/simulator"
	Now        func() time.Time // default time.Now
	Log        *slog.Logger     // default: silent
	Downtime   time.Duration    // how long the "down" card keeps the issuer away; default 1 minute
	Slowness   time.Duration    // how long after its decision the "slow" card is answered; default 10 seconds
	// DisputeAfter is how long after its capture the "disputed" card's payer objects; default 2
	// seconds.
	DisputeAfter time.Duration
}

// Simulator is an issuer.Connector and Notifier. Make one with New.
type Simulator struct {
	config  Config
	key     []byte // challenge ids are derived with it; from the book's header
	seed    int64
	takes   map[money.Currency]bool
	handler http.Handler

	mu      sync.Mutex // guards what follows; held while a journal line is written
	index   *index
	journal journal
	handle  func(context.Context, issuer.Notice) error
	closed  bool

	notices notices
}

var (
	_ issuer.Connector = (*Simulator)(nil)
	_ issuer.Notifier  = (*Simulator)(nil)
)

// New opens the book, or begins one. Only one simulator may have a book open. It fails with
// issuer_book_damaged if the book is damaged; a last line that a crash tore is cut off.
func New(c Config) (*Simulator, error) {
	if c.PublicPath == "" {
		c.PublicPath = DefaultPublicPath
	}
	if c.PublicPath[0] != '/' || path.Clean(c.PublicPath) != c.PublicPath || strings.ContainsAny(c.PublicPath, "{}?#% \"<>;") ||
		c.PublicPath == "/" {
		return nil, fault.Invalid(
			"PublicPath",
			"parameter_invalid",
			"PublicPath must begin with a slash, not end with one, and contain no special characters.",
		)
	}
	if c.BookPath == "" {
		return nil, fault.Invalid("BookPath", "parameter_missing", "BookPath is required.")
	}
	if c.Downtime == 0 {
		c.Downtime = DefaultDowntime
	}
	if c.Slowness == 0 {
		c.Slowness = DefaultSlowness
	}
	if c.DisputeAfter == 0 {
		c.DisputeAfter = DefaultDispute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}

	s := &Simulator{config: c, index: newIndex(), takes: map[money.Currency]bool{}, notices: newNotices()}
	for _, code := range currencies {
		s.takes[code] = true
	}
	if err := s.open(); err != nil {
		s.notices.stop()
		return nil, err
	}

	s.handler = s.routes()
	return s, nil
}

// open reads the journal into the index, and begins one if there is none.
func (s *Simulator) open() error {
	if err := os.MkdirAll(filepath.Dir(s.config.BookPath), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(s.config.BookPath, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	err = onlyOwner(f)
	if err == nil {
		err = s.load(f)
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("the book %s: %w", s.config.BookPath, err)
	}
	return nil
}

// onlyOwner removes the rights of all other users, which a restored book may have.
func onlyOwner(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	return f.Chmod(0o600)
}

// load locks the file, reads it, and begins a book if there is none. The seed of an
// existing book wins over the configured one, because references derive from it.
func (s *Simulator) load(f *os.File) error {
	if err := lock(f); err != nil {
		return fmt.Errorf("another simulator has it open: %w", err)
	}

	h, size, sum, err := scan(f, s.index.apply)
	if err != nil {
		return err
	}
	if err := s.cut(f, size); err != nil {
		return err
	}

	s.journal = journal{file: f, size: size, sum: sum}
	if h.Book == "" {
		h = header{Book: bookName, Version: bookVersion, Seed: s.config.Seed, Key: make([]byte, keyBytes)}
		if _, err := rand.Read(h.Key); err != nil {
			return err
		}
		if _, err := s.journal.append(h); err != nil {
			return err
		}
	}

	if h.Seed != s.config.Seed {
		s.config.Log.Warn("the simulator's book keeps its original seed", "book", h.Seed, "configured", s.config.Seed)
	}
	s.key, s.seed = h.Key, h.Seed
	return nil
}

// cut removes a torn last line. It leaves a file alone that is not a book at all.
func (s *Simulator) cut(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == size {
		return nil
	}
	if size == 0 {
		start := `{"book":"` + bookName
		begin := make([]byte, min(info.Size(), int64(len(start))))
		if _, err := f.ReadAt(begin, 0); err != nil {
			return err
		}
		if !strings.HasPrefix(start, string(begin)) {
			return damaged(1, fmt.Errorf("the file is not a simulator's book"))
		}
	}

	s.config.Log.Warn("the last line of the simulator's book is incomplete after a crash and was dropped", "bytes", info.Size()-size)
	return f.Truncate(size)
}

// Close stops the notices and the slow answers that are running, and closes the book. Calls
// after it answer NotSent. Closing again does nothing.
func (s *Simulator) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}

	s.closed = true
	s.mu.Unlock()
	s.notices.stop()
	if err := s.journal.file.Sync(); err != nil {
		_ = s.journal.file.Close()
		return err
	}

	return s.journal.file.Close()
}

// Name returns the name of the connector.
func (s *Simulator) Name() string { return Name }

// currencies are those that the simulator supports: the common ones of ISO 4217, with no, two
// and three decimals. Some are missing, so that a refusal can be tested.
var currencies = [...]money.Currency{
	"EUR", "USD", "GBP", "CHF", "JPY", "KWD", "BHD", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "CAD", "AUD", "NZD", "SGD",
	"HKD", "TWD", "KRW", "CNY", "INR", "THB", "MYR", "IDR", "PHP", "AED", "SAR", "ILS", "TRY", "ZAR", "MXN", "BRL", "ISK",
}

// Capabilities returns what the simulator supports.
func (s *Simulator) Capabilities() issuer.Capabilities { return Capabilities() }

// Capabilities returns what every simulator supports, so that a client in another process need
// not ask.
func Capabilities() issuer.Capabilities {
	return issuer.Capabilities{Types: []string{"card"}, Currencies: append([]money.Currency(nil), currencies[:]...),
		MinMinor: MinMinor, MaxMinor: MaxMinor, Test: true}
}

// Book returns a copy of the book, oldest entry first. It reads the file, so it may be called
// while calls run and after Close. It returns nil if the file can't be read.
func (s *Simulator) Book() []BookEntry {
	book, err := OpenBook(s.config.BookPath)
	if err != nil {
		s.config.Log.Error("the simulator's book cannot be read", "error", err)
		return nil
	}
	return book
}

// Handler returns the handler of the 3-D Secure challenge's pages.
func (s *Simulator) Handler() http.Handler { return s.handler }

// write puts a record into the journal and then into the index. The caller holds s.mu.
func (s *Simulator) write(r record) error {
	p, err := s.journal.append(r)
	if err != nil {
		s.config.Log.Error("the simulator's book cannot be written", "error", err)
		return err
	}
	if err := s.index.apply(r, p); err != nil {
		// The checks before it let through what a replay would refuse.
		s.journal.bad = err
		s.config.Log.Error("the simulator's book contradicts itself", "error", err)
		return err
	}
	return nil
}

// now returns the time, at the resolution of the book.
func (s *Simulator) now() time.Time { return s.config.Now().UTC().Truncate(clockStep) }

// issuerReference derives the issuer's reference from the seed and our name alone.
func (s *Simulator) issuerReference(kind, name string) string {
	h := sha256.New()
	var seed [8]byte
	binary.BigEndian.PutUint64(seed[:], uint64(s.seed))
	_, _ = h.Write(seed[:])
	_, _ = io.WriteString(h, kind+"\x00"+name)
	return "sim_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:16]))
}

// challengeID returns the key of the reference and a MAC over the reference, so that nobody can
// make it up without the link.
func (s *Simulator) challengeID(reference string) string {
	k := keyOf(reference)
	mac := hmac.New(sha256.New, s.key)
	_, _ = io.WriteString(mac, "challenge\x00"+reference)
	return base64.RawURLEncoding.EncodeToString(append(k[:], mac.Sum(nil)[:macBytes]...))
}

// actionURL returns the path of a challenge's page.
func (s *Simulator) actionURL(reference string) string {
	return s.config.PublicPath + "/3ds/" + s.challengeID(reference)
}

// shorten cuts text to at most limit bytes, between two characters.
func shorten(text string, limit int) string {
	text = strings.ToValidUTF8(text, "")
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
