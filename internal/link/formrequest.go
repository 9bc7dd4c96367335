package link

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/spelling"
)

// fieldPattern is what a field may be called. The name is a key in metadata and in HTML.
var (
	fieldPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
)

// formKey is the key in a link's metadata that names the form that made it. Payments keep it.
const formKey = "form"

// cutID splits an id into its prefix and the rest.
func cutID(s string) (prefix, body string, ok bool) { return strings.Cut(s, "_") }

// form checks the whole request and returns the form, without id and revision. A fault
// names the field of the request.
func (r FormRequest) form(now time.Time) (Form, error) {
	f := Form{Account: r.Account, Mode: r.Mode, Name: strings.TrimSpace(r.Name), Payee: r.Payee, PaymentMethod: r.PaymentMethod,
		Realm:       r.Realm,
		Description: r.Description, Button: strings.TrimSpace(r.Button), RedirectURL: r.RedirectURL, Disabled: r.Disabled, UpdatedAt: now}
	if f.Name == "" {
		return f, fault.Invalid("name", "name_missing", "name is required.")
	}
	if err := text("name", f.Name, MaxFormName, ""); err != nil {
		return f, err
	}
	if err := text("button", f.Button, MaxButtonChars, ""); err != nil {
		return f, err
	}

	var err error
	if f.Look, err = r.Look.Checked(); err != nil {
		return f, err
	}
	if f.Fields, err = checkFields(r.Fields); err != nil {
		return f, err
	}
	if f.Origins, err = checkOrigins(r.Origins); err != nil {
		return f, err
	}

	return f, r.priced(&f, now)
}

// priced reads the amounts, and checks them as those of the form's links: each link that
// the form could make is built once. So a form that was accepted can make all of its links.
func (r FormRequest) priced(f *Form, now time.Time) error {
	linkRequests, err := r.linkRequests()
	if err != nil {
		return err
	}

	for i, linkRequest := range linkRequests {
		k, err := linkRequest.link(now)
		if err != nil {
			return r.renamed(err, i)
		}
		f.Currency, f.Capture, f.LatePolicy, f.RedirectURL = k.Amount.Currency, k.Capture, k.LatePolicy, k.RedirectURL
		f.LifeSeconds = int64(k.ExpiresAt.Sub(now) / time.Second)
		if k.PayerChooses() {
			f.MinMinor, f.MaxMinor = k.MinMinor, k.MaxMinor
			continue
		}
		if slices.Contains(f.Amounts, k.Amount.Minor) {
			return fault.Invalid(fmt.Sprintf("amounts[%d]", i), "amount_invalid", "Amounts must be unique.")
		}
		f.Amounts = append(f.Amounts, k.Amount.Minor)
	}

	return nil
}

// linkRequests returns the requests of the links that the form could make, one for each amount.
func (r FormRequest) linkRequests() ([]CreateRequest, error) {
	life := int64(DefaultFormLife / time.Second)
	if r.LinkLifeSeconds != nil {
		life = *r.LinkLifeSeconds
	}
	w := CreateRequest{Account: r.Account, Mode: r.Mode, Payee: r.Payee, Methods: r.Methods, Currency: r.Currency,
		PaymentMethod: r.PaymentMethod,
		Realm:         r.Realm, Description: r.Description, RedirectURL: r.RedirectURL, Capture: r.Capture, LatePolicy: r.LatePolicy,
		ExpiresInSeconds: &life}
	if len(r.Amounts) == 0 {
		w.Amount, w.MinAmount, w.MaxAmount = r.Amount, r.MinAmount, r.MaxAmount
		return []CreateRequest{w}, nil
	}
	if r.Amount != "" || r.MinAmount != "" || r.MaxAmount != "" {
		return nil, fault.Invalid("amounts", "conflicting_fields", "Send only one of: amount, amounts, or minAmount and maxAmount.")
	}
	if len(r.Amounts) < 2 || len(r.Amounts) > MaxFormAmounts {
		return nil, fault.Invalid("amounts", "amount_invalid", "amounts must have 2 to %d entries.", MaxFormAmounts)
	}

	var all []CreateRequest
	for _, amount := range r.Amounts {
		w.Amount = amount
		if amount == "" {
			return nil, fault.Invalid("amounts", "amount_invalid", "amounts must not contain an empty amount.")
		}
		all = append(all, w)
	}

	return all, nil
}

// renamed returns a link's fault with the form's field name.
func (r FormRequest) renamed(err error, i int) error {
	f := *fault.From(err)
	if f.Kind != fault.KindInvalid {
		return err
	}
	switch {
	case f.Param == "expiresInSeconds":
		f.Param = "linkLifeSeconds"
	case f.Param == "amount" && len(r.Amounts) > 0:
		f.Param = fmt.Sprintf("amounts[%d]", i)
	}
	return &f
}

// checkFields returns the fields with trimmed labels, or field_invalid for a name that is
// reserved, repeated or malformed, for a field of the merchant's own without a label, and
// for too many of them.
func checkFields(fields []Field) ([]Field, error) {
	var out []Field
	seen, own := map[string]bool{}, 0
	for i, f := range fields {
		at := func(member string) string { return fmt.Sprintf("fields[%d].%s", i, member) }
		f.Label = strings.TrimSpace(f.Label)
		if err := issuer.NoNumber(at("name"), f.Name); err != nil {
			return nil, err
		}
		if !fieldPattern.MatchString(f.Name) || f.Name == formKey || f.Name == "amount" || f.Name == "attempt" {
			return nil, fault.Invalid(
				at("name"),
				"field_invalid",
				"A field name must be 1 to 40 characters from a-z, 0-9 and _, begin with a letter, and not be amount, attempt or form.",
			)
		}
		if seen[f.Name] {
			return nil, fault.Invalid(at("name"), "field_invalid", "Field names must be unique.")
		}
		seen[f.Name] = true
		if f.Custom() {
			own++
			if f.Label == "" {
				return nil, fault.Invalid(at("label"), "field_invalid", "A custom field must have a label.")
			}
		}

		if own > MaxCustomFields {
			return nil, fault.Invalid(
				"fields",
				"field_invalid",
				"A form can have at most %d custom fields, besides name, email and reference.",
				MaxCustomFields,
			)
		}
		if err := text(at("label"), f.Label, MaxFieldLabel, ""); err != nil {
			return nil, err
		}
		out = append(out, f)
	}

	return out, nil
}

// checkOrigins returns the origins as browsers write them, each once.
func checkOrigins(origins []string) ([]string, error) {
	if len(origins) > MaxFormOrigins {
		return nil, fault.Invalid("origins", "too_long", "origins must have at most %d entries.", MaxFormOrigins)
	}
	var out []string
	for i, o := range origins {
		if err := issuer.NoNumber(fmt.Sprintf("origins[%d]", i), o); err != nil {
			return nil, err
		}
		exact, ok := exactOrigin(strings.TrimSpace(o))
		if !ok {
			return nil, fault.Invalid(
				fmt.Sprintf("origins[%d]", i),
				"origin_invalid",
				"An origin must be https, a host and an optional port from 1 to 65535, such as https://shop.example; http is for localhost only.",
			)
		}
		if !slices.Contains(out, exact) {
			out = append(out, exact)
		}
	}
	return out, nil
}

// exactOrigin returns an origin as browsers write it (RFC 6454, section 6.2), with an
// internationalized host in ASCII. It rejects everything with a second meaning in a
// Content-Security-Policy: wildcards, paths, characters that no host name has, IPv6 addresses.
func exactOrigin(s string) (string, bool) {
	scheme, rest, ok := strings.Cut(strings.TrimSuffix(s, "/"), "://")
	if !ok {
		return "", false
	}

	scheme = strings.ToLower(scheme)
	authority, err := spelling.Authority(rest)
	if err != nil || strings.HasPrefix(authority, "[") || strings.HasSuffix(rest, ":") {
		return "", false
	}

	host, port, _ := strings.Cut(authority, ":")
	ip := net.ParseIP(host)
	loopback := host == "localhost" || strings.HasSuffix(host, ".localhost") || (ip != nil && ip.IsLoopback())
	if scheme != "https" && (scheme != "http" || !loopback) {
		return "", false
	}

	// Browsers leave out the default port.
	if (scheme == "https" && port == "443") || (scheme == "http" && port == "80") {
		port = ""
	}
	if port != "" {
		host += ":" + port
	}
	origin := scheme + "://" + host
	return origin, len(origin) <= MaxOriginBytes
}

// RedirectOrigin returns the origin that the payer returns to; "" without a redirect.
func (f Form) RedirectOrigin() string { return originOf(f.RedirectURL) }

// originOf returns the origin of a URL, or "" if it is none that could frame a form.
func originOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	origin, _ := exactOrigin(u.Scheme + "://" + u.Host)
	return origin
}

// linkRequest converts what a payer filled in into a link's request, and what the link's pages
// show. A fault names the field of the form. Fields of the merchant's own become metadata,
// the reference becomes the link's.
func (f Form) linkRequest(r FormLinkRequest) (CreateRequest, Shown, error) {
	shown := Shown{Origins: f.Origins, Look: f.Look, Lang: r.Lang}
	if err := f.knows(r.Values); err != nil {
		return CreateRequest{}, shown, err
	}

	one := int64(1)
	w := CreateRequest{Account: f.Account, Mode: f.Mode, Payee: r.Payee, Methods: r.Methods, Currency: string(f.Currency),
		PaymentMethod: f.PaymentMethod,
		Realm:         f.Realm, Description: f.Description, RedirectURL: f.RedirectURL, Capture: f.Capture, LatePolicy: f.LatePolicy,
		ExpiresInSeconds: &f.LifeSeconds, MaxUses: &one, Metadata: map[string]string{formKey: f.ID}}

	amount, err := f.amount(r.Amount)
	if err != nil {
		return w, shown, err
	}

	w.Amount = amount.Decimal()
	for _, field := range f.Fields {
		value := spelling.Name(r.Values[field.Name])
		if value == "" {
			if field.Required {
				return w, shown, fault.Invalid(field.Name, "parameter_missing", "This field is required.")
			}
			continue
		}
		if err := text(field.Name, value, MaxFieldValue, ""); err != nil {
			return w, shown, err
		}
		switch field.Name {
		case FieldName:
			shown.Name = value
		case FieldEmail:
			if shown.Email, err = spelling.Email(value); err != nil {
				return w, shown, fault.Invalid(field.Name, "email_invalid", "Enter an email address such as name@example.com.")
			}
		case FieldReference:
			w.Reference = value
		default:
			w.Metadata[field.Name] = value
		}
	}

	return w, shown, nil
}

// knows returns parameter_unknown if there is a value for a field that the form does not
// have.
func (f Form) knows(values map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.ContainsFunc(f.Fields, func(field Field) bool { return field.Name == name }) {
			return fault.Invalid("fields", "parameter_unknown", "The form has no such field.")
		}
	}
	return nil
}

// amount returns what the payer picked or typed, or the form's fixed amount. A list refuses
// amounts that are not on it, and limits those outside.
func (f Form) amount(s string) (money.Amount, error) {
	if f.Fixed() && s == "" {
		return money.Of(f.Amounts[0], f.Currency), nil
	}
	if s == "" {
		return money.Amount{}, fault.Invalid("amount", "parameter_missing", "Choose the amount to pay.")
	}

	a, err := parseAmount("amount", s, f.Currency)
	if err != nil {
		return a, err
	}

	switch {
	case !f.Typed() && !slices.Contains(f.Amounts, a.Minor):
		return a, fault.Invalid("amount", "amount_mismatch", "Choose one of the amounts that the form offers.")
	case f.Typed() && a.Minor < f.MinMinor:
		return a, fault.Invalid("amount", "amount_too_small", "The amount must be at least %s %s.", f.Currency,
			money.Of(f.MinMinor, f.Currency).Decimal())
	case f.Typed() && a.Minor > f.MaxMinor:
		return a, fault.Invalid("amount", "amount_too_large", "The amount must be at most %s %s.", f.Currency,
			money.Of(f.MaxMinor, f.Currency).Decimal())
	}

	return a, nil
}

// linkID derives the link's id from form, attempt and content, so a double click or a form
// that is sent again is one link, and other content makes another link. It fails with
// attempt_invalid if the attempt was minted longer ago than FormAttemptLife.
func (f Form) linkID(attempt string, w CreateRequest, shown Shown, now time.Time) (string, error) {
	made := id.Time(id.Form + "_" + attempt)
	if !id.Valid(id.Form, id.Form+"_"+attempt) || made.After(now.Add(formAttemptAhead)) || made.Before(now.Add(-FormAttemptLife)) {
		return "", fault.Invalid("attempt", "attempt_invalid", "This form was open for too long. Submit it again.")
	}

	sum := sha256.New()
	put := func(s string) { _, _ = fmt.Fprintf(sum, "%d:%s", utf8.RuneCountInString(s), s) } // a hash never fails
	for _, s := range []string{w.Amount, w.Reference, shown.Name, shown.Email} {
		put(s)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Metadata)) {
		put(name)
		put(w.Metadata[name])
	}

	return id.DeriveAt(id.Link, f.ID, attempt+" "+hex.EncodeToString(sum.Sum(nil)), made), nil
}
