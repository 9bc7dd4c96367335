package link

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/keyring"
)

// Verdict is the result of verifying a token.
type Verdict struct {
	Ours      bool
	ExpiresAt time.Time
	Expired   bool
	KeyID     string // of the signature, 8 hex digits
}

// Verifier decides whether a link is ours. It needs the public keys, the keys that open claims,
// and one keyed read. It can't make a link.
type Verifier interface {
	// Open returns the link of a token. It fails with ErrToken, or reads the store once by key.
	// It does not check the link's status.
	Open(ctx context.Context, token string) (Link, error)
	// Verify reports whether a token, or the whole URL with it, is ours, without any read.
	Verify(ctx context.Context, tokenOrURL string) (Verdict, error)
}

// Reader is the only read of a Verifier. A Store implements it.
type Reader interface {
	GetLink(ctx context.Context, account, id string) (Link, error)
}

// VerifierConfig holds the dependencies of a LocalVerifier. All but Forms are required; without
// Forms it finds none.
type VerifierConfig struct {
	Ring      *keyring.Ring // may hold link-sign for verifying only
	Store     Reader
	Forms     FormReader
	PublicURL string // scheme and host
	Now       func() time.Time
}

// LocalVerifier implements Verifier in this process.
type LocalVerifier struct {
	keys     *keyring.Ring
	opener   Opener
	verified verified
	links    Reader
	forms    FormReader
	public   string
	now      func() time.Time
}

var (
	_ Verifier    = (*LocalVerifier)(nil)
	_ PublicForms = (*LocalVerifier)(nil)
)

// NewVerifier returns a verifier. It does no I/O.
func NewVerifier(c VerifierConfig) *LocalVerifier {
	return &LocalVerifier{keys: c.Ring, opener: Opener{c.Ring}, links: c.Store, forms: c.Forms,
		public: strings.TrimRight(c.PublicURL, "/"), now: c.Now}
}

// Open verifies first, so only a genuine token reaches the store. A link that the store does
// not have gets the same error as a token that is not ours.
func (l *LocalVerifier) Open(ctx context.Context, token string) (Link, error) {
	c, err := l.claims(token)
	if err != nil {
		return Link{}, err
	}

	k, err := l.links.GetLink(ctx, c.Account, c.Link)
	if err != nil {
		if fault.KindOf(err) == fault.KindNotFound {
			return Link{}, ErrToken
		}
		return Link{}, err
	}
	if k.Mode != c.Mode || k.ID != c.Link || k.Account != c.Account {
		return Link{}, ErrToken
	}

	return k, nil
}

// Verify verifies a token. A URL must be on our own public address: a genuine token on another
// site is not our link.
func (l *LocalVerifier) Verify(_ context.Context, tokenOrURL string) (Verdict, error) {
	token := strings.TrimSpace(tokenOrURL)
	ours := true
	if strings.ContainsAny(token, ":/") {
		token, ours = l.tokenOf(token)
	}
	c, kid, err := l.opener.open(token)
	if isTokenError(err) || !ours {
		return Verdict{}, nil
	}
	if err != nil {
		return Verdict{}, err
	}
	now := l.now().Add(aheadIn(l.links, c.Account, c.Mode))
	return Verdict{Ours: true, ExpiresAt: c.ExpiresAt, Expired: !now.Before(c.ExpiresAt), KeyID: keyring.FormatKeyID(kid)}, nil
}

// tokenOf returns the token in a URL, and whether the URL is on our own address.
func (l *LocalVerifier) tokenOf(raw string) (token string, ours bool) {
	u, err := url.Parse(raw)
	public, perr := url.Parse(l.public)
	if err != nil || perr != nil || u.User != nil || !strings.EqualFold(u.Scheme, public.Scheme) || !strings.EqualFold(u.Host, public.Host) {
		return "", false
	}
	return strings.CutPrefix(u.Path, public.Path+"/l/")
}
