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

// teamPath is the page of the team, below the base.
const teamPath = "/dashboard/account/invitations"

// teamRoutes returns the page of the team and its changes.
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

// teamView is the users who may act for the account, and the open invitations.
type teamView struct {
	Base, Account, Me string
	Users             []merchant.User
	Invitations       []merchant.Invitation
	Policy            merchant.Policy
	Email             string
	Problems          parts.Problems
}

// showTeam shows the users and the open invitations.
func (d *Pages) showTeam(v *visit) error {
	if wrong := v.Reads().Only(); wrong != nil {
		return v.Refuse(wrong, v.AccountPath("invitations"))
	}
	return d.teamAgain(v, http.StatusOK, teamView{})
}

// teamAgain renders the page from what is stored now, with the problems of t.
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

// invite invites an address. If there is no mail, the response shows the link, once. Sent
// twice, it makes two invitations, each of which can be withdrawn.
func (d *Pages) invite(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	made, err := d.Merchants.Invite(
		v.Context(),
		merchant.InviteRequest{User: v.User.ID, Account: v.Account.ID, Email: form.Get("email"), Lang: v.Print.Tag()},
	)
	if err != nil {
		p := v.Problems(err)
		if p == nil {
			return err
		}
		// The address stays in the form, to be corrected.
		return d.teamAgain(v, frame.StatusOf(fault.KindOf(err)), teamView{Email: form.Get("email"), Problems: p})
	}
	// Without mail, the link exists only on this page. It is not stored, and a redirect
	// would lose it.
	if made.URL != "" {
		return v.Render(http.StatusOK, v.Print.T("common.invitations"), invitationPage(d.Base, made))
	}
	return v.Redirect(d.Base+teamPath, "good", v.Print.T("account.invitedMailed", "Email", made.Email))
}

// withdraw ends an invitation.
func (d *Pages) withdraw(v *visit) error {
	if err := d.Merchants.WithdrawInvitation(v.Context(), v.Account.ID, v.PathValue("id")); err != nil {
		return err
	}
	return v.Redirect(d.Base+teamPath, "good", v.Print.T("account.withdrawn"))
}

// withdrawPath returns the address at which an invitation is withdrawn.
func withdrawPath(base, id string) string {
	return base + teamPath + "/" + url.PathEscape(id) + "/withdraw"
}

// peopleTable returns the users of the account.
func peopleTable(ctx context.Context, t teamView) parts.Table {
	out := parts.Table{
		ID:      "people",
		Caption: parts.Say(ctx, "account.people"),
		Columns: []parts.Column{
			{Label: parts.Say(ctx, "account.username")},
			{Label: parts.Say(ctx, "account.email")},
			{Label: parts.Say(ctx, "account.since")},
		},
	}
	for _, u := range t.Users {
		out.Rows = append(out.Rows, parts.Row{Cells: []templ.Component{personCell(u, t.Me), parts.Text(u.Email), parts.When(u.CreatedAt)}})
	}
	return out
}
