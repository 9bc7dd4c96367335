package pages

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
)

// verdictAnswer is the JSON of a verdict.
type verdictAnswer struct {
	Ours      bool   `json:"ours"`
	Expired   bool   `json:"expired"`
	ExpiresAt string `json:"expiresAt,omitempty"`
	KeyID     string `json:"keyId,omitempty"`
}

// verifyPath returns the path of the verdict about a link.
func (p *Pages) verifyPath(l link.Link) string {
	return p.base + "/verify?link=" + url.QueryEscape(p.public+"/l/"+l.Token)
}

// verify answers whether a pasted link is ours and unaltered, and until when, or what one
// of our receipts says. It reads no store: the signature is enough.
func (p *Pages) verify(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	machine := accepts(r, "text/html", "application/json") == "application/json"
	query := r.URL.Query()
	pasted := strings.TrimSpace(query.Get("link"))
	// The parameter receipt always means a receipt, even one that does not look like it.
	if typed := strings.TrimSpace(query.Get("receipt")); typed != "" {
		p.proof(w, r, append(receiptsOf(typed), typed), machine)
		return
	}
	if tokens := receiptsOf(pasted); len(tokens) > 0 {
		p.proof(w, r, tokens, machine)
		return
	}

	if pasted == "" {
		if machine {
			p.fail(w, r, fault.Invalid("link", "parameter_missing", "link is required: /verify?link=URL."))
			return
		}
		p.html(w, r, http.StatusOK, verifyPage(verifyView{page: page{Title: printer(r).T("pay.verify"), Base: p.base}}))
		return
	}

	verdict, token, err := p.judge(r.Context(), pasted)
	if err != nil {
		if machine {
			p.fail(w, r, err)
		} else {
			p.failPage(w, r, err)
		}
		return
	}
	if machine {
		w.Header().Set("Access-Control-Allow-Origin", "*") // a merchant's page may ask
		a := verdictAnswer{Ours: verdict.Ours}
		if verdict.Ours {
			a.Expired, a.ExpiresAt, a.KeyID = verdict.Expired, link.FormatTime(verdict.ExpiresAt), verdict.KeyID
		}
		p.json(w, r, a)
		return
	}

	p.html(w, r, http.StatusOK, verifyPage(p.verdictView(r, pasted, token, verdict)))
}

// judge returns the verdict about the first link of ours in a pasted text, and its token. A
// text without one gets the zero verdict. An error means that the verifier failed.
func (p *Pages) judge(ctx context.Context, pasted string) (link.Verdict, string, error) {
	// The first spelling that is ours wins; the others are attempts to repair a broken
	// address.
	for _, address := range link.Pasted(pasted) {
		token, ok := p.tokenOf(address)
		if !ok {
			continue
		}
		verdict, err := p.links.Verify(ctx, token)
		if err != nil {
			// A refusal is a verdict too; only a failure on our side is an error.
			if k := fault.KindOf(err); k != fault.KindNotFound && k != fault.KindInvalid {
				return link.Verdict{}, "", err
			}
			continue
		}
		if verdict.Ours {
			return verdict, token, nil
		}
	}

	return link.Verdict{}, "", nil
}

// tokenOf returns the token in an address. A valid token under another site's address is
// not our link: a forger would do just that.
func (p *Pages) tokenOf(pasted string) (string, bool) {
	if len(pasted) > maxPastedLength {
		return "", false
	}
	// Neither a path nor a scheme.
	if !strings.ContainsAny(pasted, "/:") {
		return pasted, true // a bare token
	}
	// People leave out the scheme, and programs that shorten addresses do so, too.
	if !strings.Contains(pasted, "://") {
		scheme, _, _ := strings.Cut(p.origin, "://")
		pasted = scheme + "://" + pasted
	}
	u, err := url.Parse(pasted)
	if err != nil || u.User != nil || !strings.EqualFold(u.Scheme+"://"+u.Host, p.origin) {
		return "", false
	}

	token, ok := strings.CutPrefix(u.EscapedPath(), p.base+"/l/")
	// The address of the payer's status page is one of the link.
	token = strings.TrimSuffix(strings.TrimSuffix(token, "/"), "/status")
	return token, ok && token != "" && !strings.Contains(token, "/")
}

// verdictView returns the page with a verdict. The token is that of the link if it is ours.
func (p *Pages) verdictView(r *http.Request, pasted, token string, v link.Verdict) verifyView {
	say := printer(r)
	view := verifyView{page: page{Base: p.base}, Asked: true}
	switch {
	case !v.Ours:
		if len(pasted) <= maxPastedLength {
			view.Link = strings.ToValidUTF8(pasted, "") // it may need a correction
		}
		view.Tone, view.Verdict = "bad", say.T("pay.verify.bad")
		view.Lead = say.T("pay.verify.bad.lead")
	case v.Expired:
		view.Tone, view.Verdict = "quiet", say.T("pay.verify.expired")
		view.Lead = say.T("pay.verify.expired.lead")
		view.Rows = append(view.Rows, row{Label: say.T("pay.row.expired"), At: stampOf(r, v.ExpiresAt)})
	default:
		view.Tone, view.Verdict = "good", say.T("pay.verify.good")
		view.Lead = say.T("pay.verify.good.lead")
		view.Primary = button{say.T("pay.verify.open"), p.payPath(token)}
		view.Rows = append(view.Rows, row{Label: say.T("pay.row.expires"), At: stampOf(r, v.ExpiresAt)})
	}

	if v.Ours && v.KeyID != "" {
		view.Rows = append(view.Rows, row{Label: say.T("pay.row.key"), Text: v.KeyID, Code: true})
	}
	view.Title = view.Verdict
	return view
}
