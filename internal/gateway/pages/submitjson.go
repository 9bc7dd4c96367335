package pages

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/spelling"
)

// paymentBody is the JSON of a payment. Numbers keep their digits, so that no amount passes
// through a float.
type paymentBody struct {
	Attempt string         `json:"attempt"`
	Card    *cardBody      `json:"card"`
	Payer   *payerBody     `json:"payer"`
	Amount  jsontext.Value `json:"amount"`
	Proof   string         `json:"proof"`
}

// cardBody is the card as the caller wrote it. It lives as long as the request. Number and CVC are
// JSON strings in memory that is cleared.
type cardBody struct {
	Number   jsontext.Value `json:"number"`
	ExpMonth jsontext.Value `json:"expMonth"`
	ExpYear  jsontext.Value `json:"expYear"`
	CVC      jsontext.Value `json:"cvc"`
	Name     string         `json:"name"`
}

// secret returns the text of a JSON string in memory of its own, and clears the string. An absent
// member is an empty text.
func secret(param string, v jsontext.Value) ([]byte, *fault.Error) {
	defer clear(v)
	if len(v) == 0 {
		return nil, nil
	}
	text, err := jsontext.AppendUnquote(make([]byte, 0, len(v)), v)
	if v.Kind() != jsontext.KindString || err != nil {
		clear(text)
		return nil, fault.Invalid(param, "parameter_invalid", "The value has the wrong type.")
	}
	return text, nil
}

// payerBody is who pays. Both members may be empty.
type payerBody struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// paymentAnswer is a payment as its payer sees it.
type paymentAnswer struct {
	ID        string      `json:"id"`
	Object    string      `json:"object"`
	Status    string      `json:"status"`
	Amount    string      `json:"amount"`
	Currency  string      `json:"currency"`
	Link      string      `json:"link"`
	Card      cardAnswer  `json:"card"`
	ActionURL string      `json:"actionUrl,omitempty"`
	CreatedAt string      `json:"createdAt"`
	UpdatedAt string      `json:"updatedAt"`
	Links     linksAnswer `json:"links"`
}

// cardAnswer is what is shown of a card.
type cardAnswer struct {
	Brand string `json:"brand"`
	Last4 string `json:"last4"`
}

// linksAnswer has the addresses of the payment's status and of the link's page.
type linksAnswer struct {
	Self string `json:"self"`
	Page string `json:"page"`
}

// submitJSON pays by JSON. A decline is a problem with the decline's code and the payment's
// id; everything else that was committed is answered with 200 and the payment.
func (p *Pages) submitJSON(w http.ResponseWriter, r *http.Request) {
	raw, err := body(w, r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	defer clear(raw)

	l, ok := p.open(w, r, false)
	if !ok {
		return
	}

	s, err := p.readJSON(raw, l)
	defer s.Card.Clear()
	if err != nil {
		p.fail(w, r, err)
		return
	}

	s.PayerLang, s.Client, s.Country = printer(r).Tag(), addressOf(r), p.countryOf(r)
	pay, err := p.payments.Submit(r.Context(), s)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	if pay.Status == payment.Declined {
		// A decline is an error to a program, but a payment was made: the problem names it.
		code, message := publicDeclineCode(pay), declineWords(i18n.For("en"), publicDeclineCode(pay))
		if code == "" {
			code = issuer.CodeDeclined
		}
		pr := problem.From(fault.New(fault.KindDeclined, code, "%s", message), problem.RequestID(r.Context()))
		pr.Payment = pay.ID
		pr.Write(w, r)
		return
	}

	p.json(w, r, paymentAnswer{
		ID: pay.ID, Object: "payment", Status: string(pay.Status.Public()),
		Amount: pay.Amount.Decimal(), Currency: string(pay.Amount.Currency), Link: pay.Link,
		Card: cardAnswer{pay.CardBrand, pay.CardLast4}, ActionURL: p.actionURL(pay),
		CreatedAt: link.FormatTime(pay.CreatedAt), UpdatedAt: link.FormatTime(pay.UpdatedAt),
		Links: linksAnswer{Self: s.ReturnURL, Page: p.absolute(p.payPath(l.Token))},
	})
}

// firstNull returns the name of the first member of a document that is null, or "". No
// member of a payment gives null a meaning, and decoding would take it as absent: for the
// amount, the link's where the payer meant another.
func firstNull(raw []byte) string {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw)) // which it reads in place: raw may have a card
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		if token.Kind() == 'n' {
			return strings.ReplaceAll(strings.TrimPrefix(string(dec.StackPointer()), "/"), "/", ".")
		}
	}
}

// readJSON returns the submission, or the first thing that is wrong.
func (p *Pages) readJSON(raw []byte, l link.Link) (payment.Submit, error) {
	var b paymentBody
	defer func() {
		if b.Card != nil {
			clear(b.Card.Number)
			clear(b.Card.CVC)
		}
	}()
	if err := json.Unmarshal(raw, &b, json.RejectUnknownMembers(true)); err != nil {
		return payment.Submit{}, jsonFault(err)
	}
	if param := firstNull(raw); param != "" {
		return payment.Submit{}, fault.Invalid(param, "parameter_invalid", "%s must not be null; omit it instead.", param)
	}

	s := payment.Submit{Link: l, Attempt: b.Attempt, Proof: b.Proof}
	if err := checkAttempt(b.Attempt); err != nil {
		return s, err
	}
	if b.Card == nil {
		return s, fault.Invalid("card", "parameter_missing", "card is required.")
	}

	// Programs get one error at a time, people get all of them (readForm).
	f, err := b.Card.fields()
	defer f.clear()
	if err != nil {
		return s, err
	}
	if f.expMonth, err = integer("card.expMonth", b.Card.ExpMonth); err != nil {
		return s, err
	}
	if f.expYear, err = integer("card.expYear", b.Card.ExpYear); err != nil {
		return s, err
	}

	var errs []*fault.Error
	if s.Card, errs = f.card(p.now()); len(errs) > 0 {
		return s, errs[0]
	}

	if b.Payer != nil {
		s.PayerName = spelling.Name(b.Payer.Name)
		if err := checkName("payer.name", s.PayerName); err != nil {
			return s, err
		}
		if s.PayerEmail, err = readEmail("payer.email", b.Payer.Email); err != nil {
			return s, err
		}
	}

	// The amount comes last, so that its error is not hidden by those of a page that
	// computes it.
	text, err := scalar("amount", b.Amount)
	if err != nil {
		return s, err
	}
	if s.Amount, err = jsonAmount(text, l); err != nil {
		return s, err
	}

	s.ReturnURL = p.absolute(p.statusPath(l.Token, s.Attempt))
	return s, nil
}

// fields returns the typed number, code and name. The caller clears them, also after an error.
func (b *cardBody) fields() (f cardFields, err *fault.Error) {
	f.name = spelling.Name(b.Name)
	if f.number, err = secret("card.number", b.Number); err != nil {
		return f, err
	}
	f.number = digitsTyped(f.number)
	f.cvc, err = secret("card.cvc", b.CVC)
	f.cvc = codeTyped(f.cvc)
	return f, err
}

// scalar returns the digits of a number or the text of a string, and "" for null and for an
// absent member. A number is never converted.
func scalar(param string, v jsontext.Value) (string, *fault.Error) {
	switch v.Kind() {
	case jsontext.KindNumber:
		return string(v), nil
	case jsontext.KindString:
		s, err := jsontext.AppendUnquote(nil, v)
		if err == nil && len(s) > 0 {
			return string(s), nil
		}
	case jsontext.KindInvalid, jsontext.KindNull:
		return "", nil
	}

	return "", fault.Invalid(param, "parameter_invalid", "%s must be a number or a string of digits.", param)
}

// integer returns a whole number of at most four digits, for the card's expiry.
func integer(param string, v jsontext.Value) (int, *fault.Error) {
	s, err := scalar(param, v)
	if err != nil {
		return 0, err
	}
	if s == "" {
		return 0, fault.Invalid(param, "parameter_missing", "%s is required.", param)
	}

	s = spelling.Typed(s)
	n, convErr := strconv.Atoi(s)
	if convErr != nil || len(s) > 4 || n < 0 {
		return 0, fault.Invalid(param, "card_expiry_invalid", "%s must be a whole number of at most 4 digits.", param)
	}

	return n, nil
}

// jsonFault says what is wrong with a body and where. It drops the decoder's own text,
// which may quote a card number.
func jsonFault(err error) *fault.Error {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		param := paramOf(semantic.JSONPointer)
		if issuer.HasNumber(param) {
			return issuer.NumberFault("")
		}
		if errors.Is(semantic.Err, json.ErrUnknownName) {
			return fault.Invalid(param, "parameter_unknown", "This call does not accept this parameter.")
		}
		return fault.Invalid(param, "parameter_invalid", "The value has the wrong type.")
	}

	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) && errors.Is(syntactic.Err, jsontext.ErrDuplicateName) {
		param := paramOf(syntactic.JSONPointer)
		if issuer.HasNumber(param) {
			return issuer.NumberFault("")
		}
		return fault.Invalid(param, "parameter_duplicate", "Duplicate parameter: send it once.")
	}

	return fault.New(fault.KindInvalid, "json_invalid", "The body must be a single JSON object in UTF-8.")
}

// maxParam bounds, in bytes, the caller's own names that a response repeats.
const maxParam = 100

// paramOf turns a JSON pointer into the notation of callers: a.b.
func paramOf(ptr jsontext.Pointer) string {
	var names []string
	for t := range ptr.Tokens() {
		names = append(names, t)
	}
	s := strings.Join(names, ".")
	if len(s) > maxParam {
		s = strings.ToValidUTF8(s[:maxParam], "")
	}
	return s
}

// json answers 200 with v, which no cache may keep.
func (p *Pages) json(w http.ResponseWriter, r *http.Request, v any) { p.jsonKept(w, r, v, "no-store") }

// jsonKept answers 200 with v and that Cache-Control.
func (p *Pages) jsonKept(w http.ResponseWriter, r *http.Request, v any, cache string) {
	b, err := json.Marshal(v)
	if err != nil {
		p.fail(w, r, err)
		return
	}

	h := w.Header()
	secure(h)
	h.Set("Cache-Control", cache)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)+1))
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(b, '\n')) //nolint:gosec // JSON with its own content type and nosniff; a failed write means that the client is gone
	}
}
