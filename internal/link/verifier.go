package link

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/keyring"
)

// Verdict about a token.
type Verdict struct {
	Ours      bool
	ExpiresAt time.Time
	Expired   bool
	KeyID     string // of the signature, 8 hex digits
}

// Verifier is the box that tells whether a link is ours. It needs the public
// keys, the keys that open claims, and one keyed read: it can make no link.
type Verifier interface {
	// Open finds the link of a token: ErrToken, or one keyed read. It says
	// nothing about the link's status.
	Open(ctx context.Context, token string) (Link, error)
	// Verify tells whether a token, or the whole URL with it, is ours, without
	// any read.
	Verify(ctx context.Context, tokenOrURL string) (Verdict, error)
}

// Reader is the one read of a Verifier; a Store is one.
type Reader interface {
	GetLink(ctx context.Context, account, id string) (Link, error)
}

// VerifierConfig of a LocalVerifier. All must be given; without Forms it knows none.
type VerifierConfig struct {
	Ring      *keyring.Ring // may hold link-sign for verifying alone
	Store     Reader
	Forms     FormReader
	PublicURL string // scheme and host
	Now       func() time.Time
}

// LocalVerifier is the Verifier in this process.
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

// NewVerifier makes the verifier.
func NewVerifier(c VerifierConfig) *LocalVerifier {
	return &LocalVerifier{keys: c.Ring, opener: Opener{c.Ring}, links: c.Store, forms: c.Forms, public: strings.TrimRight(c.PublicURL, "/"), now: c.Now}
}

// Open verifies first; only a token of ours reaches the store. A link that the
// store does not have is answered like a token that is not ours.
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

// Verify judges a token. A URL must be on our own public address: our token on a
// stranger's page is not our link.
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

func (l *LocalVerifier) tokenOf(raw string) (token string, ours bool) {
	u, err := url.Parse(raw)
	public, perr := url.Parse(l.public)
	if err != nil || perr != nil || u.User != nil || !strings.EqualFold(u.Scheme, public.Scheme) || !strings.EqualFold(u.Host, public.Host) {
		return "", false
	}
	return strings.CutPrefix(u.Path, public.Path+"/l/")
}
