package dashboard

import "net/http"

// SignedInPages returns the paths of the pages that need a session.
func SignedInPages(d *Dashboard) []string {
	var paths []string
	for _, r := range d.routes {
		if r.Method == http.MethodGet && !r.Open {
			paths = append(paths, r.Path)
		}
	}
	return paths
}
