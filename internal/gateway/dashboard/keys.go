package dashboard

import (
	"encoding/json"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/merchant"
)

// keyPage is how many keys are read at once.
const keyPage = 100

func keyRoutes() []route {
	const base = "/dashboard/{mode}/keys"
	get := func(path string, h func(*Dashboard, *visit) error) route {
		return route{method: http.MethodGet, path: path, room: "keys", handle: h}
	}
	post := func(path string, h func(*Dashboard, *visit) error) route {
		return route{method: http.MethodPost, path: path, room: "keys", handle: h}
	}
	return []route{get(base, (*Dashboard).listKeys), get(base+"/new", (*Dashboard).newKey), post(base, (*Dashboard).createKey),
		get(base+"/{id}/rotate", (*Dashboard).askRotateKey), post(base+"/{id}/rotate", (*Dashboard).rotateKey),
		get(base+"/{id}/revoke", (*Dashboard).askRevokeKey), post(base+"/{id}/revoke", (*Dashboard).revokeKey),
		get("/dashboard/{mode}/keys.csv", (*Dashboard).exportKeys)}
}

// keysOf are the account's keys of the mode, newest first, from strictly before an id.
func (v *visit) keysOf(before string) iter.Seq2[merchant.Key, error] {
	return func(yield func(merchant.Key, error) bool) {
		for {
			found, err := v.d.Merchants.Keys(v.Context(), v.account.ID, before, keyPage)
			if err != nil {
				yield(merchant.Key{}, err)
				return
			}
			for _, k := range found {
				if k.Mode == v.mode && !yield(k, nil) {
					return
				}
			}
			if len(found) < keyPage {
				return
			}
			before = found[len(found)-1].ID
		}
	}
}

func (d *Dashboard) listKeys(v *visit) error {
	p, r := v.print, v.reads()
	before := r.id("before", id.Key)
	if wrong := r.end(); wrong != nil {
		return v.refuse(wrong, v.path("keys"))
	}
	add := button{Text: p.T("keys.add"), Href: v.path("keys", "new"), Kind: "primary", Icon: "plus"}
	t := table{ID: "keys", Caption: p.T("keys.title"), CaptionHidden: true,
		Columns: []column{{Label: p.T("keys.name")}, {Label: p.T("keys.status")}, {Label: p.T("keys.lastUsed")},
			{Label: p.T("keys.actions"), Hidden: true}},
		Empty: empty{Icon: "key", Headline: p.T("keys.empty"), Lead: p.T("keys.emptyLead"), Actions: []button{add}}}
	var last string
	for k, err := range v.keysOf(before) {
		if err != nil {
			return err
		}
		if len(t.Rows) == pageSize {
			t.Pager.Older = v.path("keys") + "?before=" + last
			break
		}
		last = k.ID
		t.Rows = append(t.Rows, tableRow{ID: k.ID, Cells: []templ.Component{keyName(k, v.scopesText(k)), badgePart(v.keyBadge(k)), lastUse(k),
			keyActions(v.keyButtons(k))}})
	}
	if before != "" {
		t.Pager.Newest = v.path("keys")
	}
	h := head{Title: p.T("keys.title"), Lead: p.T("keys.lead")}
	if len(t.Rows) > 0 {
		h.Actions, t.CSV = []button{add}, v.path("keys.csv")
	}
	return v.render(http.StatusOK, h.Title, keysPage(h, t))
}

func (v *visit) keyButtons(k merchant.Key) []button {
	if !k.RevokedAt.IsZero() {
		return nil
	}
	p, named := v.print, func(key string) templ.Attributes { return attr("aria-label", v.print.T(key)+": "+k.Name) }
	return []button{{Text: p.T("keys.rotate"), Href: v.path("keys", k.ID, "rotate"), Kind: "small", Attrs: named("keys.rotate")},
		{Text: p.T("keys.revoke"), Href: v.path("keys", k.ID, "revoke"), Kind: "small danger", Attrs: named("keys.revoke")}}
}

func (v *visit) keyBadge(k merchant.Key) badge {
	switch now := v.d.Now(); {
	case !k.RevokedAt.IsZero():
		return badge{v.print.T("keys.revoked"), "bad"}
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return badge{v.print.T("keys.expired"), "quiet"}
	case !k.ExpiresAt.IsZero():
		return badge{v.print.T("keys.expires", "at", v.print.Date(k.ExpiresAt.In(zoneOf(v.Context())))), "wait"}
	}
	return badge{v.print.T("keys.valid"), "good"}
}

func (v *visit) scopesText(k merchant.Key) string {
	if len(k.Scopes) == len(merchant.Scopes) {
		return v.print.T("keys.everyScope")
	}
	return v.print.N("keys.scopeCount", len(k.Scopes))
}

// keyForm asks for a key.
type keyForm struct {
	Head     head
	Action   string
	Attempt  string
	Name     string
	Scopes   []string
	Expires  string
	Lives    []option
	Back     string
	Problems problems
}

func (f keyForm) has(scope string) bool {
	for _, s := range f.Scopes {
		if s == scope {
			return true
		}
	}
	return false
}

func (d *Dashboard) newKey(v *visit) error {
	return v.keyForm(http.StatusOK, keyForm{Scopes: []string{"links:read", "links:write", "payments:read"}, Attempt: newAttempt()})
}

func (v *visit) keyForm(status int, f keyForm) error {
	p := v.print
	f.Head = head{Title: p.T("keys.new"), Back: button{Text: p.T("keys.back"), Href: v.path("keys")}}
	f.Action, f.Back = v.path("keys"), v.path("keys")
	f.Lives = []option{{"", p.T("keys.never")}, {"30", p.N("keys.days", 30)}, {"90", p.N("keys.days", 90)}, {"365", p.N("keys.days", 365)}}
	return v.render(status, f.Head.Title, keyFormPage(f))
}

func (d *Dashboard) createKey(v *visit) error {
	in, err := v.form()
	if err != nil {
		return err
	}
	f := keyForm{Name: strings.TrimSpace(in.Get("name")), Scopes: in["scopes"], Expires: in.Get("expires"), Attempt: in.Get("attempt")}
	r := merchant.CreateKeyRequest{Account: v.account.ID, Mode: v.mode, Name: f.Name, Scopes: f.Scopes}
	if days, err := strconv.Atoi(f.Expires); err == nil && days > 0 && days <= 3650 {
		r.ExpiresAt = v.d.Now().AddDate(0, 0, days).UTC().Format(time.RFC3339)
	}
	var made merchant.NewKey
	replayed, err := v.once(d.Records.Users, "api_key", func(t *idempotency.Ticket) (err error) {
		made, err = d.Merchants.CreateKey(v.Context(), r, t)
		return err
	})
	if err != nil {
		if f.Problems = v.problems(err); f.Problems == nil {
			return err
		}
		return v.keyForm(http.StatusUnprocessableEntity, f)
	}
	return v.keySecret(made, replayed, "")
}

func (v *visit) keySecret(made merchant.NewKey, replayed []byte, note string) error {
	p := v.print
	if replayed != nil {
		var again struct{ ID, Name, Secret string }
		if err := json.Unmarshal(replayed, &again); err != nil {
			return err
		}
		made.Key.ID, made.Key.Name, made.Secret = again.ID, again.Name, again.Secret
	}
	s := secretView{Head: head{Title: p.T("keys.secretTitle"), Lead: made.Key.Name}, Label: p.T("keys.secret"), Secret: made.Secret, Lead: p.T("keys.secretLead"),
		Note: note, Next: button{Text: p.T("keys.toKeys"), Href: v.path("keys"), Kind: "primary"}}
	return v.render(http.StatusOK, s.Head.Title, secretPage(s))
}

// key is the one of the path; one of the other mode is not here.
func (v *visit) key() (merchant.Key, error) {
	name := v.PathValue("id")
	if !id.Valid(id.Key, name) {
		return merchant.Key{}, fault.NotFound("API key")
	}
	k, err := v.d.Merchants.GetKey(v.Context(), v.account.ID, name)
	if err == nil && k.Mode != v.mode {
		return merchant.Key{}, fault.NotFound("API key")
	}
	return k, err
}

func (d *Dashboard) askRotateKey(v *visit) error {
	k, err := v.key()
	if err != nil {
		return err
	}
	p := v.print
	const hour, day = 3600, 86400
	return v.ask(question{Head: head{Title: p.T("keys.rotateTitle"), Back: button{Text: p.T("keys.back"), Href: v.path("keys")}}, Lead: p.T("keys.rotateLead"), Detail: k.Name,
		Action: v.path("keys", k.ID, "rotate"), OK: button{Text: p.T("keys.rotate"), Kind: "primary"}, Back: button{Text: p.T("keys.cancel"), Href: v.path("keys")},
		Field: &field{ID: "grace", Label: p.T("keys.grace"), Value: strconv.Itoa(day), Options: []option{{"0", p.T("keys.graceNone")},
			{strconv.Itoa(hour), p.N("keys.hours", 1)}, {strconv.Itoa(day), p.N("keys.hours", 24)}, {strconv.Itoa(7 * day), p.N("keys.days", 7)}}}})
}

func (d *Dashboard) rotateKey(v *visit) error {
	in, err := v.form()
	if err != nil {
		return err
	}
	k, err := v.key()
	if err != nil {
		return err
	}
	grace, err := strconv.ParseInt(in.Get("grace"), 10, 64)
	if err != nil {
		return fault.Invalid("grace", "grace_invalid", "Choose how long the old secret lives on.")
	}
	var made merchant.NewKey
	replayed, err := v.once(d.Records.Users, "api_key", func(t *idempotency.Ticket) (err error) {
		made, err = d.Merchants.RotateKey(v.Context(), v.account.ID, k.ID, grace, t)
		return err
	})
	if err != nil {
		return err
	}
	note := ""
	if grace > 0 {
		note = v.print.T("keys.overlap", "at", v.print.DateTime(v.d.Now().Add(time.Duration(grace)*time.Second).In(zoneOf(v.Context()))))
	}
	return v.keySecret(made, replayed, note)
}

func (d *Dashboard) askRevokeKey(v *visit) error {
	k, err := v.key()
	if err != nil {
		return err
	}
	p := v.print
	return v.ask(question{Head: head{Title: p.T("keys.revokeTitle"), Back: button{Text: p.T("keys.back"), Href: v.path("keys")}}, Lead: p.T("keys.revokeLead"), Detail: k.Name,
		Action: v.path("keys", k.ID, "revoke"), OK: button{Text: p.T("keys.revoke"), Kind: "danger"}, Back: button{Text: p.T("keys.cancel"), Href: v.path("keys")}})
}

func (d *Dashboard) revokeKey(v *visit) error {
	k, err := v.key()
	if err == nil {
		_, err = d.Merchants.RevokeKey(v.Context(), v.account.ID, k.ID)
	}
	if err != nil {
		return err
	}
	return v.redirect(v.path("keys"), "good", v.print.T("keys.revokedNow"))
}

func (d *Dashboard) exportKeys(v *visit) error {
	if wrong := v.reads().only(); wrong != nil {
		return v.refuse(wrong, v.path("keys"))
	}
	return v.csv("keys-"+v.mode, []string{"id", "name", "mode", "scopes", "createdAt", "lastUsedAt", "expiresAt", "revokedAt"}, func(yield func([]string, error) bool) {
		for k, err := range v.keysOf("") {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield([]string{k.ID, k.Name, k.Mode, strings.Join(k.Scopes, " "), stampOrNone(k.CreatedAt), stampOrNone(k.LastUsedAt), stampOrNone(k.ExpiresAt), stampOrNone(k.RevokedAt)}, nil) {
				return
			}
		}
	})
}

func stampOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}
