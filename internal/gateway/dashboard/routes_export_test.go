package dashboard

import "net/http"

// SignedInPages are the paths of the pages that need a session.
func SignedInPages() []string {
	var paths []string
	for _, r := range routes() {
		if r.method == http.MethodGet && !r.open {
			paths = append(paths, r.path)
		}
	}
	return paths
}
