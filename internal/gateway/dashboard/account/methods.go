package account

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/money"
)

// methodRoutes returns the page of the payment methods and its change.
func (d *Pages) methodRoutes() []frame.Route {
	return []frame.Route{
		frame.Get("/dashboard/account/methods", "methods", d.on((*Pages).showMethods)),
		frame.Post("/dashboard/account/methods", "methods", d.on((*Pages).setMethods)),
	}
}

// methodsView is every way in which the account can be paid: each type of each issuer that
// this process knows, set up or not.
type methodsView struct {
	Head     parts.Head
	Action   string
	Problems parts.Problems
	Methods  []methodView
}

// methodView is one method of the page: whether it is on, its currencies, and its limits in
// one of them.
type methodView struct {
	Key        string // in the names of the form's fields
	Name       string
	Badge      parts.Badge
	Hint       string
	Limits     string
	Enabled    parts.Check
	Currencies []parts.Check
	Wrong      string
	// Credentials has no label where the issuer takes none (the simulator).
	Credentials parts.Field
	Stored      bool
}

// offered calls each for every type of every issuer, in order. key names the method in the
// form's fields.
func (d *Pages) offered(each func(key, kind, name string, can issuer.Capabilities)) {
	for _, c := range d.Connectors {
		for _, kind := range c.Capabilities.Types {
			each(c.Name+"."+kind, kind, c.Name, c.Capabilities)
		}
	}
}

// showMethods shows the methods as they are stored.
func (d *Pages) showMethods(v *visit) error {
	return v.showMethods(http.StatusOK, valuesOfMethods(v.Account.Methods), nil)
}

// valuesOfMethods returns the form's values for stored methods. A refused form is shown
// from its own values instead.
func valuesOfMethods(methods []merchant.Method) url.Values {
	values := url.Values{}
	for _, m := range methods {
		key := m.Issuer + "." + m.Type
		if m.Enabled {
			values.Set("enabled."+key, "on")
		}
		for _, c := range m.Currencies {
			values.Add("currencies."+key, string(c))
		}
	}
	return values
}

// showMethods renders the page with these values and what is wrong with them.
func (v *visit) showMethods(status int, values url.Values, wrong parts.Problems) error {
	p := methodsView{
		Head:     parts.Head{Title: v.Print.T("methods.title"), Lead: v.Print.T("methods.lead")},
		Action:   v.AccountPath("methods"),
		Problems: wrong,
	}
	v.d.offered(func(key, kind, name string, can issuer.Capabilities) {
		p.Methods = append(p.Methods, v.methodView(key, kind, name, can, values, wrong))
	})
	return v.Render(status, p.Head.Title, methodsPage(p))
}

// methodView returns a method for the page. Stored credentials are never shown, only that
// there are some. Limits are shown in the first chosen currency, because they are minor
// units of any currency.
func (v *visit) methodView(key, kind, name string, can issuer.Capabilities, values url.Values, wrong parts.Problems) methodView {
	m := methodView{Key: key, Name: slip.IssuerName(name), Badge: parts.Badge{Text: v.Print.T("methods.live"), Tone: "good"},
		Enabled: parts.Check{
			ID:      "enabled." + key,
			Name:    "enabled." + key,
			Value:   "on",
			Label:   v.Print.T("methods.enabled"),
			Checked: values.Get("enabled."+key) != "",
		},
		Wrong: wrong.Of("currencies." + key)}
	if kind != "" {
		m.Name += " · " + v.kindName(kind)
	}
	// The simulator takes no credentials. All other issuers have some, and a hint for their
	// form.
	if can.Test {
		m.Badge, m.Hint = parts.Badge{Text: v.Print.T("methods.testOnly"), Tone: "wait"}, v.Print.T("methods.simulatorHint")
	} else {
		m.Credentials = parts.Field{ID: "credentials." + key, Label: v.Print.T("methods.credentials"),
			Hint: v.Print.T("methods.credentialsHint"), Optional: true, Lines: 3,
			Error: wrong.Of("credentials." + key)}
	}

	// In one order, whatever the issuer lists them in.
	currencies := slices.Sorted(slices.Values(can.Currencies))
	for _, c := range currencies {
		m.Currencies = append(
			m.Currencies,
			parts.Check{ID: "currencies." + key + "." + string(c), Name: "currencies." + key, Value: string(c), Label: string(c),
				Checked: slices.Contains(values["currencies."+key], string(c))},
		)
	}

	// An issuer without a maximum has no limits to show.
	if len(currencies) > 0 && can.MaxMinor > 0 {
		c := currencies[0]
		if chosen := values["currencies."+key]; len(chosen) > 0 && slices.Contains(currencies, money.Currency(chosen[0])) {
			c = money.Currency(chosen[0])
		}
		m.Limits = v.Print.T("methods.limits", "Low", money.Of(max(can.MinMinor, 1), c), "High", money.Of(can.MaxMinor, c))
	}

	// The page says that there are credentials, so that nobody types them twice.
	for _, old := range v.Account.Methods {
		if old.Issuer+"."+old.Type == key && len(old.SealedCredentials) > 0 {
			m.Stored = true
		}
	}

	return m
}

// kindName returns the name of a type of payment, or the type itself if it has none.
func (v *visit) kindName(kind string) string {
	if kind == "card" {
		return v.Print.T("methods.card")
	}
	return kind
}

// setMethods replaces the account's methods with those of the form. It omits a method that
// was never set up and stays off. Empty credentials keep what is stored. Sending the form
// twice has the same effect as once, so it needs no attempt id.
func (d *Pages) setMethods(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}

	in, wrong := v.methodInputs(form)
	if len(wrong) == 0 {
		_, err := d.Merchants.SetMethods(v.Context(), v.Account.ID, in, nil)
		if err == nil {
			return v.Redirect(v.AccountPath("methods"), "good", v.Print.T("methods.saved"))
		}
		// The service does not know the fields of the page, so its problem is shown at the
		// top.
		if fault.KindOf(err) != fault.KindInvalid && fault.KindOf(err) != fault.KindConflict {
			return err
		}
		wrong = parts.Problems{{Text: v.Explain(fault.Code(err), fault.From(err).Detail)}}
	}

	return v.showMethods(http.StatusUnprocessableEntity, form, wrong)
}

// methodInputs reads the form. A method without currencies is left out, unless it is on,
// which is wrong. Credentials are lines of NAME=VALUE.
func (v *visit) methodInputs(form url.Values) (in []merchant.MethodInput, wrong parts.Problems) {
	v.d.offered(func(key, kind, name string, _ issuer.Capabilities) {
		// A method that is off and has currencies is kept, to be turned on again as it was.
		on, currencies := form.Get("enabled."+key) != "", form["currencies."+key]
		if len(currencies) == 0 {
			if on {
				wrong = append(wrong, parts.FieldError{Field: "currencies." + key, Text: v.Print.T("methods.wrong.currencies")})
			}
			return
		}
		m := merchant.MethodInput{Type: kind, Issuer: name, Currencies: currencies, Enabled: &on}
		for line := range strings.Lines(form.Get("credentials." + key)) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			// The text of a line is not shown again, since it may be a secret.
			k, value, ok := strings.Cut(line, "=")
			if !ok {
				wrong = append(wrong, parts.FieldError{Field: "credentials." + key, Text: v.Print.T("methods.wrong.credentials")})
				return
			}
			if m.Credentials == nil {
				m.Credentials = map[string]string{}
			}
			m.Credentials[strings.TrimSpace(k)] = strings.TrimSpace(value)
		}
		in = append(in, m)
	})
	return in, wrong
}
