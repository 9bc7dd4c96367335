package dashboard

import (
	"net/http"

	"github.com/paylink/paylink/internal/calendar"
)

func settingsRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard/account/settings", room: "settings", handle: (*Dashboard).showSettings},
		{method: http.MethodPost, path: "/dashboard/account/settings", room: "settings", handle: (*Dashboard).changeSettings},
	}
}

// settingsView is what is set for the whole account.
type settingsView struct {
	Head     head
	Action   string
	Zone     field
	Zones    []string
	Problems problems
}

func (d *Dashboard) showSettings(v *visit) error {
	if wrong := v.reads().only(); wrong != nil {
		return v.refuse(wrong, v.accountPath("settings"))
	}
	zone := v.account.TimeZone
	if zone == "" {
		zone = calendar.UTC
	}
	return v.settings(http.StatusOK, zone, nil)
}

func (v *visit) settings(status int, zone string, wrong problems) error {
	view := settingsView{Head: head{Title: v.print.T("account.settings"), Lead: v.print.T("account.settingsLead")}, Action: v.accountPath("settings"),
		Zones: zones, Problems: wrong}
	view.Zone = field{ID: "timeZone", Label: v.print.T("overview.zone"), Hint: v.print.T("account.zoneHint"), Value: zone, Max: maxQueryChars, Error: wrong.of("timeZone"),
		Attrs: map[string]any{"list": "zones", "required": true, "dir": "ltr", "spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}}
	return v.render(status, view.Head.Title, settingsPage(view))
}

// changeSettings sets the zone. Sent twice, it changes once.
func (d *Dashboard) changeSettings(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	zone := clip(form.Get("timeZone"))
	if _, err := d.Merchants.SetTimeZone(v.Context(), v.account.ID, zone); err != nil {
		if wrong := v.problems(err); wrong != nil {
			return v.settings(http.StatusUnprocessableEntity, zone, wrong)
		}
		return err
	}
	return v.redirect(v.accountPath("settings"), "good", v.print.T("account.zoneSaved", "Zone", zone))
}
