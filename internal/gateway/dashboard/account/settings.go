package account

import (
	"net/http"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
)

// settingsRoutes returns the page of the account's settings and its change.
func (d *Pages) settingsRoutes() []frame.Route {
	return []frame.Route{
		frame.Get("/dashboard/account/settings", "settings", d.on((*Pages).showSettings)),
		frame.Post("/dashboard/account/settings", "settings", d.on((*Pages).changeSettings)),
	}
}

// settingsView is what is set for the whole account: the time zone, and some zones to
// choose from.
type settingsView struct {
	Head     parts.Head
	Action   string
	Zone     parts.Field
	Zones    []string
	Problems parts.Problems
}

// showSettings shows the zone, which is UTC until one is chosen.
func (d *Pages) showSettings(v *visit) error {
	if wrong := v.Reads().Only(); wrong != nil {
		return v.Refuse(wrong, v.AccountPath("settings"))
	}
	zone := v.Account.TimeZone
	if zone == "" {
		zone = calendar.UTC
	}
	return v.settings(http.StatusOK, zone, nil)
}

// settings renders the page with this zone, and what is wrong with it.
func (v *visit) settings(status int, zone string, wrong parts.Problems) error {
	view := settingsView{
		Head:     parts.Head{Title: v.Print.T("account.settings"), Lead: v.Print.T("account.settingsLead")},
		Action:   v.AccountPath("settings"),
		Zones:    frame.Zones,
		Problems: wrong,
	}
	view.Zone = parts.Field{
		ID:    "timeZone",
		Label: v.Print.T("overview.zone"),
		Hint:  v.Print.T("account.zoneHint"),
		Value: zone,
		Max:   frame.MaxQueryChars,
		Error: wrong.Of("timeZone"),
		Attrs: map[string]any{
			"list":           "zones",
			"required":       true,
			"dir":            "ltr",
			"spellcheck":     "false",
			"autocapitalize": "off",
			"autocomplete":   "off",
		},
	}
	return v.Render(status, view.Head.Title, settingsPage(view))
}

// changeSettings sets the zone. Sending the form twice has the same effect as once.
func (d *Pages) changeSettings(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	// The page repeats the zone, so its length is limited first.
	zone := frame.Clip(form.Get("timeZone"))
	if _, err := d.Merchants.SetTimeZone(v.Context(), v.Account.ID, zone); err != nil {
		if wrong := v.Problems(err); wrong != nil {
			return v.settings(http.StatusUnprocessableEntity, zone, wrong)
		}
		return err
	}
	return v.Redirect(v.AccountPath("settings"), "good", v.Print.T("account.zoneSaved", "Zone", zone))
}
