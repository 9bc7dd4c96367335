package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstalledConfiguration checks that the configuration of docs/operate/install.md is valid and
// names the proxy, and that check-config warns about one that does not.
func TestInstalledConfiguration(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "operate", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, config, _ := strings.Cut(string(document), "\n```json\n")
	config, _, ok := strings.Cut(config, "\n```")
	unnamed := strings.Replace(config, `"trusted_proxies": ["127.0.0.0/8", "::1/128"]`, `"log_level": "info"`, 1)
	if !ok || unnamed == config {
		t.Fatalf("install.md has no configuration that names the proxy: %s", config)
	}
	for text, warned := range map[string]bool{config: false, unnamed: true} {
		dir := t.TempDir()
		file := filepath.Join(dir, "config.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs strings.Builder
		status := run(t.Context(), []string{"check-config", "--config", file, "--data", dir}, &out, &errs)
		if status != 0 || !strings.Contains(out.String(), "is valid") ||
			strings.Contains(errs.String(), "warning: --trusted-proxies") != warned {
			t.Errorf("%s: status %d, %q, %q", text, status, out.String(), errs.String())
		}
	}
}
