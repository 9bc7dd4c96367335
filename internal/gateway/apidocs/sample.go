package apidocs

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// sample is one request, as it is written in curl and in Go.
type sample struct {
	method, url string
	key, user   bool // who may call: an API key, a signed-in user
	headers     [][2]string
	media, body string
}

// sample is the request of an operation with all that it must have.
func (r *reader) sample(op operation, params []*yaml.Node) sample {
	s := sample{method: op.Method, key: slices.Contains(op.Auth, "key"), user: slices.Contains(op.Auth, "user")}
	path, query := op.Path, url.Values{}
	for _, p := range params {
		name, required := text(p, "name"), text(p, "required") == "true"
		value := text(p, "example")
		if value == "" {
			value = r.example(name, get(p, "schema"), true, 0).Value
		}
		switch in := text(p, "in"); {
		case in == "path":
			path = strings.ReplaceAll(path, "{"+name+"}", pathExample(name, value))
		case in == "query" && required:
			query.Set(name, value)
		case in == "header" && (required || name == "Idempotency-Key"):
			s.headers = append(s.headers, [2]string{name, value})
		}
	}
	s.url = r.site + path
	if len(query) > 0 {
		s.url += "?" + query.Encode()
	}
	if op.Body != nil {
		s.media, _, _ = strings.Cut(op.Body.Media, " or ")
		s.body = op.Body.Examples[0].Text
	}
	return s
}

// pathExample is a value that a reader understands in an address.
func pathExample(name, value string) string {
	if value != "text" {
		return value
	}
	switch name {
	case "token":
		return "TOKEN"
	case "code":
		return "link_expired"
	case "form":
		return exampleID("frm", "")
	}
	return strings.ToUpper(name)
}

// quoted is a word of a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (s sample) curl() string {
	lines := []string{"curl " + quoted(s.url)}
	if s.method != "GET" && (s.method != "POST" || s.body == "") {
		lines[0] = "curl -X " + s.method + " " + quoted(s.url)
	}
	switch {
	case s.key:
		lines = append(lines, `-u "$PAYLINK_KEY:$PAYLINK_SECRET"`)
	case s.user:
		lines = append(lines, `-H "Authorization: Bearer $PAYLINK_TOKEN"`)
	}
	for _, h := range s.headers {
		lines = append(lines, "-H "+quoted(h[0]+": "+h[1]))
	}
	if s.body != "" {
		lines = append(lines, "-H "+quoted("Content-Type: "+s.media), "-d "+quoted(s.body))
	}
	return strings.Join(lines, " \\\n  ")
}

// golang is the body of a function, with log, net/http, os, io and strings imported.
func (s sample) golang() string {
	var b strings.Builder
	reader := "nil"
	if s.body != "" {
		// A raw string has no backquote in it, nor has our document.
		fmt.Fprintf(&b, "body := strings.NewReader(`%s`)\n", strings.ReplaceAll(s.body, "`", "'"))
		reader = "body"
	}
	fmt.Fprintf(&b, "req, err := http.NewRequest(%q, %q, %s)\nif err != nil {\n\tlog.Fatal(err)\n}\n", s.method, s.url, reader)
	switch {
	case s.key:
		b.WriteString("req.SetBasicAuth(os.Getenv(\"PAYLINK_KEY\"), os.Getenv(\"PAYLINK_SECRET\"))\n")
	case s.user:
		b.WriteString("req.Header.Set(\"Authorization\", \"Bearer \"+os.Getenv(\"PAYLINK_TOKEN\"))\n")
	}
	for _, h := range s.headers {
		fmt.Fprintf(&b, "req.Header.Set(%q, %q)\n", h[0], h[1])
	}
	if s.body != "" {
		fmt.Fprintf(&b, "req.Header.Set(\"Content-Type\", %q)\n", s.media)
	}
	b.WriteString(
		"resp, err := http.DefaultClient.Do(req)\nif err != nil {\n\tlog.Fatal(err)\n}\ndefer resp.Body.Close()\nif _, err := io.Copy(os.Stdout, resp.Body); err != nil {\n\tlog.Fatal(err)\n}",
	)
	return b.String()
}
