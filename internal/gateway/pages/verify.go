package pages

import (
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

func (p *Pages) verifyPath(l link.Link) string {
	return p.base + "/verify?link=" + url.QueryEscape(p.public+"/l/"+l.Token)
}

// verify tells whether a pasted link is ours, unaltered, and until when, or what a
// receipt of ours says. It reads no store: the signature says it all.
func (p *Pages) verify(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	machine := accepts(r, "text/html", "application/json") == "application/json"
	query := r.URL.Query()
	pasted := strings.TrimSpace(query.Get("link"))
	if token := strings.TrimSpace(query.Get("receipt")); token != "" {
		p.proof(w, r, token, machine)
		return
	}
	if token, ok := receiptOf(pasted); ok {
		p.proof(w, r, token, machine)
		return
	}
	if pasted == "" {
		if machine {
			p.fail(w, r, fault.Invalid("link", "parameter_missing", "Name the link to check: /verify?link=URL."))
			return
		}
		p.html(w, r, http.StatusOK, verifyPage(verifyView{page: page{Title: printer(r).T("pay.verify"), Base: p.base}}))
		return
	}
	var verdict link.Verdict
	if token, ok := p.tokenOf(pasted); ok {
		var err error
		if verdict, err = p.links.Verify(r.Context(), token); err != nil {
			// A refusal is a verdict too; only a failure of ours is an error.
			if k := fault.KindOf(err); k != fault.KindNotFound && k != fault.KindInvalid {
				if machine {
					p.fail(w, r, err)
				} else {
					p.failPage(w, r, err)
				}
				return
			}
			verdict = link.Verdict{}
		}
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
	p.html(w, r, http.StatusOK, verifyPage(p.verdictView(r, pasted, verdict)))
}

// tokenOf takes the token out of a pasted link. A good token under another
// site's address is not our link: that is what a forger would paste it into.
func (p *Pages) tokenOf(pasted string) (string, bool) {
	if len(pasted) > maxPastedLength {
		return "", false
	}
	if !strings.ContainsAny(pasted, "/:") {
		return pasted, true // a bare token
	}
	if !strings.Contains(pasted, "://") {
		scheme, _, _ := strings.Cut(p.origin, "://")
		pasted = scheme + "://" + pasted
	}
	u, err := url.Parse(pasted)
	if err != nil || u.User != nil || !strings.EqualFold(u.Scheme+"://"+u.Host, p.origin) {
		return "", false
	}
	token, ok := strings.CutPrefix(u.EscapedPath(), p.base+"/l/")
	token = strings.TrimSuffix(strings.TrimSuffix(token, "/"), "/status")
	return token, ok && token != "" && !strings.Contains(token, "/")
}

func (p *Pages) verdictView(r *http.Request, pasted string, v link.Verdict) verifyView {
	say := printer(r)
	view := verifyView{page: page{Base: p.base}, Asked: true}
	switch {
	case !v.Ours:
		if len(pasted) <= maxPastedLength {
			view.Link = strings.ToValidUTF8(pasted, "") // it may want mending
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
		if token, ok := p.tokenOf(pasted); ok {
			view.Primary = button{say.T("pay.verify.open"), p.payPath(token)}
		}
		view.Rows = append(view.Rows, row{Label: say.T("pay.row.expires"), At: stampOf(r, v.ExpiresAt)})
	}
	if v.Ours && v.KeyID != "" {
		view.Rows = append(view.Rows, row{Label: say.T("pay.row.key"), Text: v.KeyID, Code: true})
	}
	view.Title = view.Verdict
	return view
}
