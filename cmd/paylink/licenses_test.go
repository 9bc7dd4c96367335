package main

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLicenses compares the modules that paylink licenses lists with those that are linked into
// the binary. If it fails, run make generate.
func TestLicenses(t *testing.T) {
	var text strings.Builder
	if err := printLicenses(&text); err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\* (\S+ v\S+?)(?:, in \S+)?$`).FindAllStringSubmatch(text.String(), -1) {
		listed[m[1]] = true
	}

	linked := map[string]bool{}
	for _, arch := range []string{"amd64", "arm64"} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps",
			"-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", ".")
		list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		for module := range strings.Lines(string(out)) {
			linked[strings.TrimSpace(module)] = true
		}
	}
	delete(linked, "")

	for module := range linked {
		if !listed[module] {
			t.Errorf("%s is in the binary, and its license is not", module)
		}
	}
	for module := range listed {
		if !linked[module] {
			t.Errorf("%s has its license in the binary, and is not there itself", module)
		}
	}
	if len(linked) < 50 {
		t.Errorf("only %d modules: %v", len(linked), linked)
	}
	for _, want := range []string{"* paylink\n", "* the Go standard library and runtime\n", "The Go Authors",
		"Mozilla Public License Version 2.0", "Apache License"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the licenses lack %q", want)
		}
	}
	// One section per text, each with its text.
	sections := strings.Split(text.String(), strings.Repeat("=", 80))[1:]
	if i := slices.IndexFunc(sections, func(s string) bool { return len(s) < 100 }); i >= 0 {
		t.Errorf("a license has no text: %s", sections[i])
	}
}
