package simulator

import (
	"bytes"
	"context"
	"crypto/hmac"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
)

//go:embed challenge.html
var challengeHTML string

//go:embed 3ds.css
var challengeCSS []byte

var challengePage = template.Must(template.New("challenge").Parse(challengeHTML))

// maxFormBytes bounds the body of a decision: it is one short field.
const maxFormBytes = 4 << 10

// view is the content of the page: a question, or a message instead.
type view struct {
	Title     string
	Message   string
	Ask       bool
	Amount    string
	Statement string
	Last4     string
	ReturnURL string
}

var errNoChallenge = errors.New("no such challenge")

// routes returns the handler of the challenge's pages, each with headers that allow only
// what it needs.
func (s *Simulator) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+s.config.PublicPath+"/3ds.css", s.serveCSS)
	mux.HandleFunc("GET "+s.config.PublicPath+"/3ds/{id}", s.serveQuestion)
	mux.HandleFunc("POST "+s.config.PublicPath+"/3ds/{id}", s.serveDecision)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy(""))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // the address is a secret, but the form needs its Origin header
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// policy allows our stylesheet and our form, and nothing else. Browsers apply form-action to
// the redirect after a form too, so the return address must be in it.
func policy(back string) string {
	target := "'self'"
	if u, err := url.Parse(back); err == nil && u.Host != "" {
		target += " " + u.Scheme + "://" + u.Host
	}
	return "default-src 'none'; style-src 'self'; form-action " + target + "; base-uri 'none'; frame-ancestors 'none'"
}

// serveCSS serves the style sheet of the pages.
func (s *Simulator) serveCSS(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(challengeCSS)
}

// serveQuestion shows the challenge. It changes nothing.
func (s *Simulator) serveQuestion(w http.ResponseWriter, r *http.Request) {
	asked, answer, err := s.challenge(r.PathValue("id"))
	switch {
	case errors.Is(err, errNoChallenge):
		s.renderUnknown(w)
	case err != nil:
		s.renderTrouble(w)
	case answer.Outcome == issuer.ActionRequired:
		s.render(w, http.StatusOK, view{Title: "Confirm your payment", Ask: true, ReturnURL: asked.ReturnURL,
			Amount: money.Of(asked.Minor, asked.Currency).Localized("en"), Statement: asked.Statement, Last4: asked.Last4})
	case answer.Outcome == issuer.Reversed:
		s.renderOver(w, asked)
	default:
		s.renderDecided(w, asked, answer)
	}
}

// serveDecision records the payer's decision, notifies paylink, and redirects the payer back.
// The first decision stands. A later one changes nothing, but sends the notice again, in case a
// crash cut off the first one.
func (s *Simulator) serveDecision(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if err := r.ParseForm(); err != nil {
		s.render(w, http.StatusBadRequest, view{Title: "That did not work", Message: "The form could not be read. Go back and choose again."})
		return
	}

	action := r.PostForm.Get("action")
	if action != "approve" && action != "fail" {
		s.render(w, http.StatusBadRequest, view{Title: "That did not work", Message: "Go back and choose one of the two buttons."})
		return
	}

	asked, answer, err := s.decideChallenge(r.PathValue("id"), action == "approve")
	switch {
	case errors.Is(err, errNoChallenge):
		s.renderUnknown(w)
		return
	case err != nil:
		s.renderTrouble(w)
		return
	case answer.Outcome == issuer.Reversed:
		s.renderOver(w, asked)
		return
	}

	// The payer may close the browser now, so the notice does not depend on the request.
	n := issuer.Notice{Reference: asked.Reference, Answer: answer}
	if s.send(context.WithoutCancel(r.Context()), n) != nil {
		s.notify(n, firstNoticePause)
	}
	if asked.Behaviour == behaviourNames[disputed] && answer.Captured {
		s.dispute(asked.Reference, answer.Amount)
	}

	if asked.ReturnURL == "" {
		s.renderDecided(w, asked, answer)
		return
	}

	w.Header().Set("Location", asked.ReturnURL)
	w.WriteHeader(http.StatusSeeOther)
}

// challenge returns the journal line of a challenge and its outcome, or errNoChallenge.
func (s *Simulator) challenge(id string) (record, issuer.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.challengeLocked(id)
}

// challengeLocked is challenge under the lock. The id's MAC is compared in constant time,
// so that it cannot be guessed byte by byte.
func (s *Simulator) challengeLocked(id string) (record, issuer.Answer, error) {
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(raw) != len(key{})+macBytes {
		return record{}, issuer.Answer{}, errNoChallenge
	}

	k := key(raw[:len(key{})])
	p, ok := s.index.challenges[k]
	if !ok {
		return record{}, issuer.Answer{}, errNoChallenge
	}
	if s.closed {
		return record{}, issuer.Answer{}, errors.New("closed")
	}

	// The texts of a challenge are only in the file, so that the index stays small.
	asked, err := s.journal.at(p)
	if err != nil {
		s.config.Log.Error("the simulator's book cannot be read", "error", err)
		return record{}, issuer.Answer{}, err
	}
	if !hmac.Equal([]byte(id), []byte(s.challengeID(asked.Reference))) {
		return record{}, issuer.Answer{}, errNoChallenge
	}

	return asked, s.current(asked.Reference, s.index.authorisations[k]), nil
}

// decideChallenge records the decision if there is none yet, and returns the one that
// stands. Of two concurrent decisions the first wins.
func (s *Simulator) decideChallenge(id string, approve bool) (record, issuer.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, answer, err := s.challengeLocked(id)
	if err != nil || answer.Outcome != issuer.ActionRequired {
		return asked, answer, err
	}

	rec := asked
	rec.At, rec.Statement, rec.ReturnURL = s.now(), "", ""
	rec.Outcome = outcomeNames[issuer.Approved]
	if !approve {
		rec.Outcome, rec.Reason, rec.Captured = outcomeNames[issuer.Declined], reasons[whyAuthentication].name, false
	}
	if err := s.write(rec); err != nil {
		return asked, answer, err
	}

	return asked, s.current(asked.Reference, s.index.authorisations[keyOf(asked.Reference)]), nil
}

// renderUnknown answers an address that belongs to no challenge.
func (s *Simulator) renderUnknown(w http.ResponseWriter) {
	s.render(w, http.StatusNotFound, view{Title: "Nothing to confirm here",
		Message: "This address belongs to no payment. Check that it is complete."})
}

// renderTrouble answers a decision that could not be recorded.
func (s *Simulator) renderTrouble(w http.ResponseWriter) {
	s.render(w, http.StatusServiceUnavailable, view{Title: "Please try again",
		Message: "Your choice could not be recorded. Nothing has changed."})
}

// renderOver answers for a payment that was reversed before it was confirmed.
func (s *Simulator) renderOver(w http.ResponseWriter, asked record) {
	s.render(w, http.StatusGone, view{Title: "This confirmation is over", ReturnURL: asked.ReturnURL,
		Message: "The payment was called off before it was confirmed. You have not been charged."})
}

// renderDecided shows the decision that stands.
func (s *Simulator) renderDecided(w http.ResponseWriter, asked record, answer issuer.Answer) {
	// Shown when there is no address to return to, and to a payer who comes back later.
	v := view{Title: "Payment confirmed", Message: "You have confirmed this payment. You may close this window.", ReturnURL: asked.ReturnURL}
	if answer.Outcome == issuer.Declined {
		v.Title, v.Message = "Payment not confirmed", "The check was not passed, and you have not been charged. You may close this window."
	}
	s.render(w, http.StatusOK, v)
}

// render sends a page, which may be posted to us and lead back to its own return address.
func (s *Simulator) render(w http.ResponseWriter, status int, v view) {
	var page bytes.Buffer
	if err := challengePage.Execute(&page, v); err != nil {
		s.config.Log.Error("the challenge page cannot be rendered", "error", err)
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", policy(v.ReturnURL))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
}
