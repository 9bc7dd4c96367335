package pages

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// luminance of #rrggbb (WCAG 2.2, relative luminance).
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 32)
	if err != nil || len(hex) != 7 {
		t.Fatalf("colour %q", hex)
	}
	part := func(shift uint) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}

// TestContrast measures every pair of colors that meet, in both schemes: text
// 4.5 to 1 (WCAG 2.2, 1.4.3), edges of controls and icons 3 to 1 (1.4.11).
func TestContrast(t *testing.T) {
	light, dark, ok := strings.Cut(string(cssBytes), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark scheme")
	}
	colour := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
	for scheme, css := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]string{}
		for _, m := range colour.FindAllStringSubmatch(css, -1) {
			colours[m[1]] = m[2]
		}
		for _, c := range []struct {
			front, back string
			least       float64
		}{
			{"ink", "ground", 4.5}, {"ink", "card", 4.5}, {"muted", "card", 4.5}, {"muted", "ground", 4.5},
			{"accent", "card", 4.5}, {"accent", "ground", 4.5}, {"accent-strong", "card", 4.5}, {"accent-strong", "ground", 4.5},
			{"on-accent", "accent", 4.5}, {"on-accent", "accent-strong", 4.5}, {"accent", "soft", 4.5}, {"accent-strong", "soft", 4.5},
			{"bad", "card", 4.5}, {"bad", "bad-soft", 4.5}, {"accent-strong", "bad-soft", 4.5}, {"ink", "bad-soft", 4.5}, {"on-test", "test", 4.5},
			{"edge", "card", 3}, {"good", "good-soft", 3}, {"wait", "wait-soft", 3},
		} {
			a, b := luminance(t, colours[c.front]), luminance(t, colours[c.back])
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < c.least {
				t.Errorf("%s: %s on %s is %.2f to 1, want %.1f", scheme, c.front, c.back, ratio, c.least)
			}
		}
	}
	contains(t, "css", string(cssBytes), "prefers-reduced-motion: reduce", ":focus-visible", "color-scheme: light dark", "forced-colors")
}

var (
	idPattern       = regexp.MustCompile(`\sid="([^"]+)"`)
	fieldPattern    = regexp.MustCompile(`<input id="([a-z]+)"`)
	describePattern = regexp.MustCompile(`aria-(?:describedby|labelledby)="([^"]+)"`)
	fragmentPattern = regexp.MustCompile(`href="#([a-z]+)"`)
)

// TestNamesAndReferences: every field has a label, ids are unique, and every
// reference finds what it names.
func TestNamesAndReferences(t *testing.T) {
	w := newWorld(t)
	bodies := map[string]string{}
	for _, s := range scenes(w) {
		bodies[s.name] = w.get(s.target).body
	}
	form := goodForm()
	for _, name := range []string{"number", "exp", "cvc", "email"} {
		form.Set(name, "x")
	}
	bodies["errors"] = w.postForm("choose", form, nil).body
	for name, body := range bodies {
		ids := map[string]bool{}
		for _, m := range idPattern.FindAllStringSubmatch(body, -1) {
			if ids[m[1]] {
				t.Errorf("%s: id %s twice", name, m[1])
			}
			ids[m[1]] = true
		}
		for _, m := range fieldPattern.FindAllStringSubmatch(body, -1) {
			contains(t, name, body, `<label for="`+m[1]+`"`)
		}
		refs := fragmentPattern.FindAllStringSubmatch(body, -1)
		refs = append(refs, describePattern.FindAllStringSubmatch(body, -1)...)
		for _, m := range refs {
			for _, id := range strings.Fields(m[1]) {
				if !ids[id] {
					t.Errorf("%s: nothing has the id %s", name, id)
				}
			}
		}
	}
}
