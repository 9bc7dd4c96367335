package pages

import (
	_ "embed" // the script below
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/gateway/asset"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// resultParam carries the signed statement back to the merchant's page.
const resultParam = "paylink_result"

//go:embed assets/frame.js
var frameBytes []byte

// frameAsset is the script of framed pages, which exchanges messages with the page around.
var frameAsset = asset.New("/assets/paylink.js", frameBytes)

// framable allows only these origins to frame a page. They come from the stored form, or
// from the stored link that it made, never from the request. It is called before the page
// is written; secure keeps what is set here.
func framable(h http.Header, origins []string) {
	if len(origins) == 0 {
		return
	}
	h.Set("Content-Security-Policy", strings.Replace(csp, "frame-ancestors 'none'", "frame-ancestors "+strings.Join(origins, " "), 1))
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // for a site that isolates itself
}

// dressed returns the page in the look of its form, framable by its origins.
func (v page) dressed(form string, origins []string, look link.Look) page {
	v.FormID, v.Origins, v.Look = form, strings.Join(origins, " "), lookPath(look)
	v.LookIntegrity = asset.Integrity([]byte(lookSheet(look)))
	return v
}

// lookPath returns the path of a look's style sheet. The path contains the whole look, so
// serving it needs no store and it may be cached forever.
func lookPath(l link.Look) string {
	return "/assets/look/" + strings.TrimPrefix(l.Accent, "#") + "-" + strings.TrimPrefix(l.AccentDark, "#") + "-" + l.Corners + ".css"
}

// look serves the style sheet of a look with enough contrast, and 404 for others. The check
// keeps the address from becoming a way to style our pages at will.
func (p *Pages) look(w http.ResponseWriter, r *http.Request) {
	name, isSheet := strings.CutSuffix(r.PathValue("look"), ".css")
	parts := strings.Split(name, "-")
	if !isSheet || len(parts) != 3 {
		p.NotFound().ServeHTTP(w, r)
		return
	}

	l, err := link.Look{Accent: "#" + parts[0], AccentDark: "#" + parts[1], Corners: parts[2]}.Checked()
	if err != nil {
		p.NotFound().ServeHTTP(w, r)
		return
	}

	sheet := lookSheet(l)
	h := w.Header()
	h.Set("Content-Type", "text/css; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(sheet)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(sheet)) // a failed write means that the browser is gone
	}
}

// lookSheet returns the style sheet of a look: its accent in light and dark, and its
// corners.
func lookSheet(l link.Look) string {
	theme := func(accent string, dark bool) string {
		return ":root{--accent:" + accent + ";--accent-strong:" + link.Strong(accent, dark) + ";--on-accent:" + link.On(accent) + "}"
	}
	radius := map[string][2]string{link.CornersRound: {"1.25rem", ".75rem"}, link.CornersSoft: {".625rem", ".375rem"},
		link.CornersSquare: {"0", "0"}}[l.Corners]
	return theme(l.Accent, false) + "@media (prefers-color-scheme:dark){" + theme(l.AccentDark, true) + "}" +
		"@media (min-width:24.01rem){.card{border-radius:" + radius[0] + "}}.button,input,.choice label,.covered{border-radius:" + radius[1] + "}"
}

// apart makes a link open a page of ours that must not be framed in a new window.
func (v page) apart() templ.Attributes {
	if v.Origins == "" {
		return nil
	}
	return templ.Attributes{"target": "_blank", "rel": "noopener"}
}

// whole makes a link out of a framed page, to the bank or back to the merchant, open in
// the whole window. The bank then shows its own address, has its own cookies, and need
// not allow framing.
func (v page) whole(href string) templ.Attributes {
	if u, err := url.Parse(href); v.Origins == "" || err != nil || u.Host == "" {
		return nil
	}
	return templ.Attributes{"target": "_top"}
}

// addFrameResult adds what the merchant's page learns about a payment: its id and status, and
// once it is paid the signed statement, which also returns with the payer. Without the
// statement the payer returns all the same, and the merchant can ask the API.
func (p *Pages) addFrameResult(r *http.Request, v *statusView, l link.Link, pay payment.Payment) {
	v.Payment, v.Decline = pay.ID, publicDeclineCode(pay)

	if !final(pay) || payable(pay) || p.receipt == nil {
		return
	}

	result, err := p.receipt(r.Context(), l, pay.ID)
	if err != nil {
		p.record(r, err)
		return
	}

	v.Result = result
	back, err := url.Parse(webURL(l.RedirectURL))
	if err != nil || back.Host == "" {
		return
	}

	q := back.Query()
	q.Set(resultParam, result)
	back.RawQuery = q.Encode()
	v.Redirect = back.String()
	if v.Primary.Href == webURL(l.RedirectURL) {
		v.Primary.Href = v.Redirect
	}
}

// The method returns the attributes that pass a payment to the page around a frame.
func (v statusView) frameAttributes() templ.Attributes {
	if v.FormID == "" || v.Payment == "" {
		return nil
	}
	a := templ.Attributes{"data-payment": v.Payment}
	for name, value := range map[string]string{"data-code": v.Decline, "data-result": v.Result, "data-redirect": v.Redirect} {
		if value != "" {
			a[name] = value
		}
	}
	return a
}
