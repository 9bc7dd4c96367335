package account

import (
	"context"
	"net/http"
	"net/url"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/merchant"
)

const teamPath = "/dashboard/account/invitations"

func (d *Pages) teamRoutes() []frame.Route {
	at := func(method, path string, handle func(*Pages, *visit) error) frame.Route {
		return frame.Route{Method: method, Path: teamPath + path, Entry: "team", Handle: d.on(handle)}
	}
	return []frame.Route{
		at(http.MethodGet, "", (*Pages).showTeam),
		at(http.MethodPost, "", (*Pages).invite),
		at(http.MethodPost, "/{id}/withdraw", (*Pages).withdraw),
	}
}

// teamView is who may act for the account, and who was asked to.
type teamView struct {
	Base, Account, Me string
	Users             []merchant.User
	Invitations       []merchant.Invitation
	Policy            merchant.Policy
	Email             string
	Problems          parts.Problems
}

func (d *Pages) showTeam(v *visit) error {
	if wrong := v.Reads().Only(); wrong != nil {
		return v.Refuse(wrong, v.AccountPath("invitations"))
	}
	return d.teamAgain(v, http.StatusOK, teamView{})
}

func (d *Pages) teamAgain(v *visit, status int, t teamView) (err error) {
	t.Base, t.Account, t.Me = d.Base, v.Account.Name, v.User.ID
	if t.Policy, err = d.Merchants.Policy(v.Context()); err != nil {
		return err
	}
	if t.Users, err = d.Merchants.Users(v.Context(), v.Account.ID); err != nil {
		return err
	}
	if t.Invitations, err = d.Merchants.Invitations(v.Context(), v.Account.ID); err != nil {
		return err
	}
	return v.Render(status, v.Print.T("common.invitations"), teamPage(t))
}

// invite shows the link this once where there is no mail to carry it.
func (d *Pages) invite(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	made, err := d.Merchants.Invite(v.Context(), merchant.InviteRequest{User: v.User.ID, Account: v.Account.ID, Email: form.Get("email"), Lang: v.Print.Tag()})
	if err != nil {
		p := v.Problems(err)
		if p == nil {
			return err
		}
		return d.teamAgain(v, frame.StatusOf(fault.KindOf(err)), teamView{Email: form.Get("email"), Problems: p})
	}
	if made.URL != "" {
		return v.Render(http.StatusOK, v.Print.T("common.invitations"), invitationPage(d.Base, made))
	}
	return v.Redirect(d.Base+teamPath, "good", v.Print.T("account.invitedMailed", "Email", made.Email))
}

func (d *Pages) withdraw(v *visit) error {
	if err := d.Merchants.WithdrawInvitation(v.Context(), v.Account.ID, v.PathValue("id")); err != nil {
		return err
	}
	return v.Redirect(d.Base+teamPath, "good", v.Print.T("account.withdrawn"))
}

func withdrawPath(base, id string) string {
	return base + teamPath + "/" + url.PathEscape(id) + "/withdraw"
}

func peopleTable(ctx context.Context, t teamView) parts.Table {
	out := parts.Table{ID: "people", Caption: parts.Say(ctx, "account.people"), Columns: []parts.Column{{Label: parts.Say(ctx, "account.username")}, {Label: parts.Say(ctx, "account.email")}, {Label: parts.Say(ctx, "account.since")}}}
	for _, u := range t.Users {
		out.Rows = append(out.Rows, parts.Row{Cells: []templ.Component{personCell(u, t.Me), parts.Text(u.Email), parts.When(u.CreatedAt)}})
	}
	return out
}
