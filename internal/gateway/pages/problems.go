package pages

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/paylink/paylink/internal/gateway/problem"
)

// problemView is the page that explains a code: what the type of a problem names.
type problemView struct {
	page
	problem.Code
	Rows []row
}

// problem serves the page about a code, or the page for an address that does not exist.
func (p *Pages) problem(w http.ResponseWriter, r *http.Request) {
	c, ok := problem.CodeByName(r.PathValue("code"))
	if !ok {
		p.NotFound().ServeHTTP(w, r)
		return
	}

	var statuses []string
	for _, s := range c.Statuses {
		statuses = append(statuses, strconv.Itoa(s)+" "+http.StatusText(s))
	}

	v := problemView{page: page{Title: "Problem " + c.Name, Base: p.base}, Code: c,
		Rows: []row{{Label: "HTTP status", Text: strings.Join(statuses, ", or ")}}}
	p.html(w, r, http.StatusOK, problemPage(v))
}

// problems serves the list of all codes.
func (p *Pages) problems(w http.ResponseWriter, r *http.Request) {
	p.html(w, r, http.StatusOK, problemsPage(page{Title: "Problems", Base: p.base}, problem.Codes()))
}
