package pages

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/gateway/asset"
)

var (
	loadingTag   = regexp.MustCompile(`<script [^>]*>|<link [^>]*rel="stylesheet"[^>]*>`)
	tagAttribute = regexp.MustCompile(` (src|href|integrity)="([^"]*)"`)
)

// TestIntegrity checks that pages name the hash of every script and style sheet that they load,
// that the hash is that of the file that is served, and that paylink assets prints it.
func TestIntegrity(t *testing.T) {
	t.Parallel()
	address := harness.FreeAddress(t)
	p := harness.StartOn(t, t.TempDir()+"/data", address, "--public-url", "http://"+strings.Replace(address, "127.0.0.1", "localhost", 1))
	_, key := p.Merchant(t, "ada")
	l := key.Link(`"amount":"12.50"`)
	form := harness.Form(t, key, "https://shop.example", "")
	listed, _, status := harness.Command(t, "assets")
	if status != 0 {
		t.Fatal(listed)
	}

	fetch := func(path string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
		return string(body)
	}

	loaded := map[string]bool{}
	for _, path := range []string{"/", "/docs", "/verify", "/problems", "/dashboard/sign-in", "/f/" + form, harness.TokenPath(t, l),
		harness.TokenPath(t, l) + "/status"} {
		tags := loadingTag.FindAllString(fetch(path), -1)
		if len(tags) == 0 {
			t.Errorf("%s loads nothing", path)
		}
		for _, tag := range tags {
			named := map[string]string{}
			for _, m := range tagAttribute.FindAllStringSubmatch(tag, -1) {
				named[m[1]] = html.UnescapeString(m[2])
			}
			file, err := url.Parse(named["src"] + named["href"])
			if err != nil {
				t.Fatal(err)
			}
			if want := asset.Integrity([]byte(fetch(file.RequestURI()))); named["integrity"] != want {
				t.Errorf("%s: %s; the file is %s", path, tag, want)
			}
			look := strings.HasPrefix(file.Path, "/assets/look/")
			if !look && !slices.Contains(strings.Split(listed, "\n"), named["integrity"]+" "+file.RequestURI()) {
				t.Errorf("paylink assets lacks %s", tag)
			}
			loaded[file.Path] = true
		}
	}
	if len(loaded) < 9 {
		t.Errorf("only %d files: %v", len(loaded), loaded)
	}
}
