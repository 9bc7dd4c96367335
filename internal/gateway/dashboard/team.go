package dashboard

import (
	"context"
	"net/http"
	"net/url"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/merchant"
)

const teamPath = "/dashboard/account/invitations"

func teamRoutes() []route {
	at := func(method, path string, handle func(*Dashboard, *visit) error) route {
		return route{method: method, path: teamPath + path, room: "team", handle: handle}
	}
	return []route{
		at(http.MethodGet, "", (*Dashboard).showTeam),
		at(http.MethodPost, "", (*Dashboard).invite),
		at(http.MethodPost, "/{id}/withdraw", (*Dashboard).withdraw),
	}
}

// teamView is who may act for the account, and who was asked to.
type teamView struct {
	Base, Account, Me string
	Users             []merchant.User
	Invitations       []merchant.Invitation
	Policy            merchant.Policy
	Email             string
	Problems          problems
}

func (d *Dashboard) showTeam(v *visit) error {
	if wrong := v.reads().only(); wrong != nil {
		return v.refuse(wrong, v.accountPath("invitations"))
	}
	return d.teamAgain(v, http.StatusOK, teamView{})
}

func (d *Dashboard) teamAgain(v *visit, status int, t teamView) (err error) {
	t.Base, t.Account, t.Me = d.base, v.account.Name, v.user.ID
	if t.Policy, err = d.Merchants.Policy(v.Context()); err != nil {
		return err
	}
	if t.Users, err = d.Merchants.Users(v.Context(), v.account.ID); err != nil {
		return err
	}
	if t.Invitations, err = d.Merchants.Invitations(v.Context(), v.account.ID); err != nil {
		return err
	}
	return v.render(status, v.print.T("common.invitations"), teamPage(t))
}

// invite shows the link this once where there is no mail to carry it.
func (d *Dashboard) invite(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	made, err := d.Merchants.Invite(v.Context(), merchant.InviteRequest{User: v.user.ID, Account: v.account.ID, Email: form.Get("email"), Lang: v.print.Tag()})
	if err != nil {
		p := v.problems(err)
		if p == nil {
			return err
		}
		return d.teamAgain(v, statusOf(fault.KindOf(err)), teamView{Email: form.Get("email"), Problems: p})
	}
	if made.URL != "" {
		return v.render(http.StatusOK, v.print.T("common.invitations"), invitationPage(d.base, made))
	}
	return v.redirect(d.base+teamPath, "good", v.print.T("account.invitedMailed", "Email", made.Email))
}

func (d *Dashboard) withdraw(v *visit) error {
	if err := d.Merchants.WithdrawInvitation(v.Context(), v.account.ID, v.PathValue("id")); err != nil {
		return err
	}
	return v.redirect(d.base+teamPath, "good", v.print.T("account.withdrawn"))
}

func withdrawPath(base, id string) string {
	return base + teamPath + "/" + url.PathEscape(id) + "/withdraw"
}

func peopleTable(ctx context.Context, t teamView) table {
	out := table{ID: "people", Caption: say(ctx, "account.people"), Columns: []column{{Label: say(ctx, "account.username")}, {Label: say(ctx, "account.email")}, {Label: say(ctx, "account.since")}}}
	for _, u := range t.Users {
		out.Rows = append(out.Rows, tableRow{Cells: []templ.Component{personCell(u, t.Me), text(u.Email), when(u.CreatedAt)}})
	}
	return out
}
