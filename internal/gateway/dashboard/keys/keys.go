package keys

import (
	"encoding/json"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/merchant"
)

// keyPage is how many keys are read at once.
const keyPage = 100

// Routes returns the section's pages and changes.
func (d *Pages) Routes() []frame.Route {
	const base = "/dashboard/{mode}/keys"
	get := func(path string, h func(*Pages, *visit) error) frame.Route {
		return frame.Get(path, "keys", d.on(h))
	}
	post := func(path string, h func(*Pages, *visit) error) frame.Route {
		return frame.Post(path, "keys", d.on(h))
	}
	return []frame.Route{get(base, (*Pages).listKeys), get(base+"/new", (*Pages).newKey), post(base, (*Pages).createKey),
		get(base+"/{id}/rotate", (*Pages).askRotateKey), post(base+"/{id}/rotate", (*Pages).rotateKey),
		get(base+"/{id}/revoke", (*Pages).askRevokeKey), post(base+"/{id}/revoke", (*Pages).revokeKey),
		get("/dashboard/{mode}/keys.csv", (*Pages).exportKeys)}
}

// keysOf yields the account's keys of the mode, newest first, from strictly before an id.
// It reads further pages as they are needed; an error ends it.
func (v *visit) keysOf(before string) iter.Seq2[merchant.Key, error] {
	return func(yield func(merchant.Key, error) bool) {
		for {
			// The service lists the keys of both modes, so a page of it may have few or
			// none of this mode.
			found, err := v.d.Merchants.Keys(v.Context(), v.Account.ID, before, keyPage)
			if err != nil {
				yield(merchant.Key{}, err)
				return
			}
			for _, k := range found {
				if k.Mode == v.Mode && !yield(k, nil) {
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

// listKeys shows a page of the mode's keys, revoked ones too.
func (d *Pages) listKeys(v *visit) error {
	p, r := v.Print, v.Reads()
	before := r.ID("before", id.Key)
	if wrong := r.End(); wrong != nil {
		return v.Refuse(wrong, v.Path("keys"))
	}

	add := parts.Button{Text: p.T("keys.add"), Href: v.Path("keys", "new"), Kind: "primary", Icon: "plus"}
	t := parts.Table{ID: "keys", Caption: p.T("keys.title"), CaptionHidden: true,
		Columns: []parts.Column{{Label: p.T("keys.name")}, {Label: p.T("keys.status")}, {Label: p.T("keys.lastUsed")},
			{Label: p.T("keys.actions"), Hidden: true}},
		Empty: parts.Empty{Icon: "key", Headline: p.T("keys.empty"), Lead: p.T("keys.emptyLead"), Actions: []parts.Button{add}}}

	var last string
	for k, err := range v.keysOf(before) {
		if err != nil {
			return err
		}
		// There is one more key than the page has rows: the list goes on after the last
		// row.
		if len(t.Rows) == frame.PageSize {
			t.Pager.Older = v.Path("keys") + "?before=" + last
			break
		}
		last = k.ID
		t.Rows = append(
			t.Rows,
			parts.Row{ID: k.ID, Cells: []templ.Component{keyName(k, v.scopesText(k)), parts.BadgePart(v.keyBadge(k)), lastUse(k),
				keyActions(v.keyButtons(k))}},
		)
	}

	if before != "" {
		t.Pager.Newest = v.Path("keys")
	}
	h := parts.Head{Title: p.T("keys.title"), Lead: p.T("keys.lead")}
	if len(t.Rows) > 0 {
		h.Actions, t.CSV = []parts.Button{add}, v.Path("keys.csv")
	}
	return v.Render(http.StatusOK, h.Title, keysPage(h, t))
}

// keyButtons returns what can be done with a key; nothing with one that was revoked.
func (v *visit) keyButtons(k merchant.Key) []parts.Button {
	if !k.RevokedAt.IsZero() {
		return nil
	}
	// Every row has the same two buttons. Their labels name the key, for readers that hear
	// only the button.
	p, named := v.Print, func(key string) templ.Attributes { return parts.Attr("aria-label", v.Print.T(key)+": "+k.Name) }
	return []parts.Button{{Text: p.T("keys.rotate"), Href: v.Path("keys", k.ID, "rotate"), Kind: "small", Attrs: named("keys.rotate")},
		{Text: p.T("keys.revoke"), Href: v.Path("keys", k.ID, "revoke"), Kind: "small danger", Attrs: named("keys.revoke")}}
}

// keyBadge returns the state of a key.
func (v *visit) keyBadge(k merchant.Key) parts.Badge {
	switch now := v.d.Now(); {
	case !k.RevokedAt.IsZero():
		return parts.Badge{Text: v.Print.T("keys.revoked"), Tone: "bad"}
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return parts.Badge{Text: v.Print.T("keys.expired"), Tone: "quiet"}
	case !k.ExpiresAt.IsZero():
		return parts.Badge{Text: v.Print.T("keys.expires", "at", v.Print.Date(k.ExpiresAt.In(parts.ZoneOf(v.Context())))), Tone: "wait"}
	}
	return parts.Badge{Text: v.Print.T("keys.valid"), Tone: "good"}
}

// scopesText returns how many scopes a key has, or that it has all.
func (v *visit) scopesText(k merchant.Key) string {
	// A key has each scope at most once.
	if len(k.Scopes) == len(merchant.Scopes) {
		return v.Print.T("keys.everyScope")
	}
	return v.Print.N("keys.scopeCount", len(k.Scopes))
}

// keyForm is the form of a new key.
type keyForm struct {
	Head     parts.Head
	Action   string
	Attempt  string
	Name     string
	Scopes   []string
	Expires  string
	Lives    []parts.Option
	Back     string
	Problems parts.Problems
}

// has reports whether a scope is chosen.
func (f keyForm) has(scope string) bool {
	for _, s := range f.Scopes {
		if s == scope {
			return true
		}
	}
	return false
}

// newKey shows the form with the usual scopes.
func (d *Pages) newKey(v *visit) error {
	// Enough to make links and see payments, and nothing that moves money back.
	return v.keyForm(http.StatusOK, keyForm{Scopes: []string{"links:read", "links:write", "payments:read"}, Attempt: frame.NewAttempt()})
}

// keyForm renders the form, as it was filled in.
func (v *visit) keyForm(status int, f keyForm) error {
	p := v.Print
	f.Head = parts.Head{Title: p.T("keys.new"), Back: parts.Button{Text: p.T("keys.back"), Href: v.Path("keys")}}
	f.Action, f.Back = v.Path("keys"), v.Path("keys")
	f.Lives = []parts.Option{
		{Value: "", Text: p.T("keys.never")},
		{Value: "30", Text: p.N("keys.days", 30)},
		{Value: "90", Text: p.N("keys.days", 90)},
		{Value: "365", Text: p.N("keys.days", 365)},
	}
	return v.Render(status, f.Head.Title, keyFormPage(f))
}

// createKey makes a key and shows its secret. A form that is sent again shows the same
// secret, from the sealed record.
func (d *Pages) createKey(v *visit) error {
	in, err := v.Posted()
	if err != nil {
		return err
	}

	f := keyForm{Name: strings.TrimSpace(in.Get("name")), Scopes: in["scopes"], Expires: in.Get("expires"), Attempt: in.Get("attempt")}
	r := merchant.CreateKeyRequest{Account: v.Account.ID, Mode: v.Mode, Name: f.Name, Scopes: f.Scopes}
	// Without a number the key has no end. The bound keeps a made-up number from
	// overflowing the date.
	if days, err := strconv.Atoi(f.Expires); err == nil && days > 0 && days <= 3650 {
		r.ExpiresAt = v.d.Now().AddDate(0, 0, days).UTC().Format(time.RFC3339)
	}

	var made merchant.NewKey
	replayed, err := v.Once(d.Records, "api_key", func(t *idempotency.Ticket) (err error) {
		made, err = d.Merchants.CreateKey(v.Context(), r, t)
		return err
	})
	if err != nil {
		if f.Problems = v.Problems(err); f.Problems == nil {
			return err
		}
		return v.keyForm(http.StatusUnprocessableEntity, f)
	}

	return v.keySecret(made, replayed, "")
}

// keySecret shows the secret of a key that was made now, or of the recorded response.
func (v *visit) keySecret(made merchant.NewKey, replayed []byte, note string) error {
	p := v.Print
	if replayed != nil {
		// The record is the response of the API, stored sealed. The key itself is stored
		// only as a hash, so the record alone can show the secret once more.
		var again struct{ ID, Name, Secret string }
		if err := json.Unmarshal(replayed, &again); err != nil {
			return err
		}
		made.Key.ID, made.Key.Name, made.Secret = again.ID, again.Name, again.Secret
	}
	s := parts.SecretView{
		Head:   parts.Head{Title: p.T("keys.secretTitle"), Lead: made.Key.Name},
		Label:  p.T("keys.secret"),
		Secret: made.Secret,
		Lead:   p.T("keys.secretLead"),
		Note:   note,
		Next:   parts.Button{Text: p.T("keys.toKeys"), Href: v.Path("keys"), Kind: "primary"},
	}
	return v.Render(http.StatusOK, s.Head.Title, parts.SecretPage(s))
}

// key returns the key that the path names. A key of the other mode is not found.
func (v *visit) key() (merchant.Key, error) {
	name := v.PathValue("id")
	if !id.Valid(id.Key, name) {
		return merchant.Key{}, fault.NotFound("API key")
	}
	k, err := v.d.Merchants.GetKey(v.Context(), v.Account.ID, name)
	// Otherwise a page of test mode could revoke a live key.
	if err == nil && k.Mode != v.Mode {
		return merchant.Key{}, fault.NotFound("API key")
	}
	return k, err
}

// askRotateKey asks how long the old secret stays valid before the key gets a new one.
func (d *Pages) askRotateKey(v *visit) error {
	k, err := v.key()
	if err != nil {
		return err
	}
	p := v.Print
	// In seconds, as the service takes it.
	const hour, day = 3600, 86400
	return v.Ask(
		parts.Question{
			Head:   parts.Head{Title: p.T("keys.rotateTitle"), Back: parts.Button{Text: p.T("keys.back"), Href: v.Path("keys")}},
			Lead:   p.T("keys.rotateLead"),
			Detail: k.Name,
			Action: v.Path(
				"keys",
				k.ID,
				"rotate",
			),
			OK:   parts.Button{Text: p.T("keys.rotate"), Kind: "primary"},
			Back: parts.Button{Text: p.T("keys.cancel"), Href: v.Path("keys")},
			Field: &parts.Field{
				ID:    "grace",
				Label: p.T("keys.grace"),
				Value: strconv.Itoa(day),
				Options: []parts.Option{{Value: "0", Text: p.T("keys.graceNone")},
					{
						Value: strconv.Itoa(hour),
						Text:  p.N("keys.hours", 1),
					}, {Value: strconv.Itoa(day), Text: p.N("keys.hours", 24)}, {Value: strconv.Itoa(7 * day), Text: p.N("keys.days", 7)}},
			},
		},
	)
}

// rotateKey gives a key a new secret and shows it. A form that is sent again shows the same
// secret.
func (d *Pages) rotateKey(v *visit) error {
	in, err := v.Posted()
	if err != nil {
		return err
	}

	k, err := v.key()
	if err != nil {
		return err
	}

	grace, err := strconv.ParseInt(in.Get("grace"), 10, 64)
	if err != nil {
		return fault.Invalid("grace", "grace_invalid", "Choose how long the old secret stays valid.")
	}

	var made merchant.NewKey
	replayed, err := v.Once(d.Records, "api_key", func(t *idempotency.Ticket) (err error) {
		made, err = d.Merchants.RotateKey(v.Context(), v.Account.ID, k.ID, grace, t)
		return err
	})
	if err != nil {
		return err
	}

	note := ""
	if grace > 0 {
		note = v.Print.T("keys.overlap", "at", v.Print.DateTime(v.d.Now().Add(time.Duration(grace)*time.Second).In(parts.ZoneOf(v.Context()))))
	}
	return v.keySecret(made, replayed, note)
}

// askRevokeKey asks before a key is revoked.
func (d *Pages) askRevokeKey(v *visit) error {
	k, err := v.key()
	if err != nil {
		return err
	}
	p := v.Print
	return v.Ask(
		parts.Question{
			Head:   parts.Head{Title: p.T("keys.revokeTitle"), Back: parts.Button{Text: p.T("keys.back"), Href: v.Path("keys")}},
			Lead:   p.T("keys.revokeLead"),
			Detail: k.Name,
			Action: v.Path(
				"keys",
				k.ID,
				"revoke",
			),
			OK:   parts.Button{Text: p.T("keys.revoke"), Kind: "danger"},
			Back: parts.Button{Text: p.T("keys.cancel"), Href: v.Path("keys")},
		},
	)
}

// revokeKey revokes a key at once. Revoking again changes nothing, so the form needs no
// attempt id.
func (d *Pages) revokeKey(v *visit) error {
	k, err := v.key()
	if err == nil {
		_, err = d.Merchants.RevokeKey(v.Context(), v.Account.ID, k.ID)
	}
	if err != nil {
		return err
	}
	return v.Redirect(v.Path("keys"), "good", v.Print.T("keys.revokedNow"))
}

// exportKeys streams the mode's keys as CSV, without secrets.
func (d *Pages) exportKeys(v *visit) error {
	if wrong := v.Reads().Only(); wrong != nil {
		return v.Refuse(wrong, v.Path("keys"))
	}
	return v.CSV(
		"keys-"+v.Mode,
		[]string{"id", "name", "mode", "scopes", "createdAt", "lastUsedAt", "expiresAt", "revokedAt"},
		func(yield func([]string, error) bool) {
			for k, err := range v.keysOf("") {
				if err != nil {
					yield(nil, err)
					return
				}
				if !yield(
					[]string{
						k.ID,
						k.Name,
						k.Mode,
						strings.Join(k.Scopes, " "),
						stampOrNone(k.CreatedAt),
						stampOrNone(k.LastUsedAt),
						stampOrNone(k.ExpiresAt),
						stampOrNone(k.RevokedAt),
					},
					nil,
				) {
					return
				}
			}
		},
	)
}

// stampOrNone returns a time for a file, or "" for zero.
func stampOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return parts.Stamp(t)
}
