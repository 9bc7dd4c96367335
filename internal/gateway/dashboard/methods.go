package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/money"
)

func methodRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard/account/methods", room: "methods", handle: (*Dashboard).showMethods},
		{method: http.MethodPost, path: "/dashboard/account/methods", room: "methods", handle: (*Dashboard).setMethods},
	}
}

// methodsView is every way in which the account can be paid: each type of each
// issuer that this process knows.
type methodsView struct {
	Head     head
	Action   string
	Problems problems
	Methods  []methodView
}

type methodView struct {
	Key        string // in the names of the form's fields
	Name       string
	Badge      badge
	Hint       string
	Limits     string
	Enabled    check
	Currencies []check
	Wrong      string
	// Credentials has no label where the issuer takes none (the simulator).
	Credentials field
	Stored      bool
}

// offered are the types of all issuers, in order.
func (d *Dashboard) offered(each func(key, kind, name string, can issuer.Capabilities)) {
	for _, c := range d.Connectors {
		for _, kind := range c.Capabilities.Types {
			each(c.Name+"."+kind, kind, c.Name, c.Capabilities)
		}
	}
}

func (d *Dashboard) showMethods(v *visit) error {
	return v.showMethods(http.StatusOK, valuesOfMethods(v.account.Methods), nil)
}

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

func (v *visit) showMethods(status int, values url.Values, wrong problems) error {
	p := methodsView{Head: head{Title: v.print.T("methods.title"), Lead: v.print.T("methods.lead")}, Action: v.accountPath("methods"), Problems: wrong}
	v.d.offered(func(key, kind, name string, can issuer.Capabilities) {
		p.Methods = append(p.Methods, v.methodView(key, kind, name, can, values, wrong))
	})
	return v.render(status, p.Head.Title, methodsPage(p))
}

func (v *visit) methodView(key, kind, name string, can issuer.Capabilities, values url.Values, wrong problems) methodView {
	m := methodView{Key: key, Name: issuerName(name), Badge: badge{v.print.T("methods.live"), "good"},
		Enabled: check{ID: "enabled." + key, Name: "enabled." + key, Value: "on", Label: v.print.T("methods.enabled"), Checked: values.Get("enabled."+key) != ""},
		Wrong:   wrong.of("currencies." + key)}
	if kind != "" {
		m.Name += " · " + v.kindName(kind)
	}
	if can.Test {
		m.Badge, m.Hint = badge{v.print.T("methods.testOnly"), "wait"}, v.print.T("methods.simulatorHint")
	} else {
		m.Credentials = field{ID: "credentials." + key, Label: v.print.T("methods.credentials"), Hint: v.print.T("methods.credentialsHint"), Optional: true, Lines: 3,
			Error: wrong.of("credentials." + key)}
	}
	currencies := slices.Sorted(slices.Values(can.Currencies))
	for _, c := range currencies {
		m.Currencies = append(m.Currencies, check{ID: "currencies." + key + "." + string(c), Name: "currencies." + key, Value: string(c), Label: string(c),
			Checked: slices.Contains(values["currencies."+key], string(c))})
	}
	if len(currencies) > 0 && can.MaxMinor > 0 {
		c := currencies[0]
		if chosen := values["currencies."+key]; len(chosen) > 0 && slices.Contains(currencies, money.Currency(chosen[0])) {
			c = money.Currency(chosen[0])
		}
		m.Limits = v.print.T("methods.limits", "Low", money.Of(max(can.MinMinor, 1), c), "High", money.Of(can.MaxMinor, c))
	}
	for _, old := range v.account.Methods {
		if old.Issuer+"."+old.Type == key && len(old.SealedCredentials) > 0 {
			m.Stored = true
		}
	}
	return m
}

func (v *visit) kindName(kind string) string {
	if kind == "card" {
		return v.print.T("methods.card")
	}
	return kind
}

// setMethods replaces the account's methods by those of the form. A method that was
// never set up and stays switched off is left out. Saying the same twice is no
// change, so the form needs no attempt.
func (d *Dashboard) setMethods(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	in, wrong := v.methodInputs(form)
	if len(wrong) == 0 {
		_, err := d.Merchants.SetMethods(v.Context(), v.account.ID, in, nil)
		if err == nil {
			return v.redirect(v.accountPath("methods"), "good", v.print.T("methods.saved"))
		}
		if fault.KindOf(err) != fault.KindInvalid && fault.KindOf(err) != fault.KindConflict {
			return err
		}
		wrong = problems{{Text: v.explain(fault.Code(err), fault.From(err).Detail)}}
	}
	return v.showMethods(http.StatusUnprocessableEntity, form, wrong)
}

func (v *visit) methodInputs(form url.Values) (in []merchant.MethodInput, wrong problems) {
	v.d.offered(func(key, kind, name string, _ issuer.Capabilities) {
		on, currencies := form.Get("enabled."+key) != "", form["currencies."+key]
		if len(currencies) == 0 {
			if on {
				wrong = append(wrong, fieldError{"currencies." + key, v.print.T("methods.wrong.currencies")})
			}
			return
		}
		m := merchant.MethodInput{Type: kind, Issuer: name, Currencies: currencies, Enabled: &on}
		for line := range strings.Lines(form.Get("credentials." + key)) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			k, value, ok := strings.Cut(line, "=")
			if !ok {
				wrong = append(wrong, fieldError{"credentials." + key, v.print.T("methods.wrong.credentials")})
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
