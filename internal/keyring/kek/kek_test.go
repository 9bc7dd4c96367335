package kek_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/keyring/kek"
)

// wraps checks that a setting's wrapper gives back what it wrapped, hides it, and refuses what was
// altered.
func wraps(t *testing.T, setting string, credentials ...string) keyring.Wrapper {
	t.Helper()
	w, err := kek.Parse(setting, strings.Join(credentials, ""))
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("a data key of thirty-two bytes..")
	wrapped, err := w.Wrap(t.Context(), key)
	if err != nil {
		t.Fatalf("%s: %v", setting, err)
	}
	if bytes.Contains(wrapped, key) {
		t.Errorf("%s: the key is in what was wrapped", setting)
	}
	if got, err := w.Unwrap(t.Context(), wrapped); err != nil || !bytes.Equal(got, key) {
		t.Errorf("%s: %q, %v", setting, got, err)
	}
	wrapped[len(wrapped)-1] ^= 1
	if _, err := w.Unwrap(t.Context(), wrapped); err == nil {
		t.Errorf("%s: what was altered is opened", setting)
	}
	if _, err := w.Unwrap(t.Context(), nil); err == nil {
		t.Errorf("%s: nothing is opened", setting)
	}
	return w
}

// TestKeyInAFile seals under a file's key, also as systemd hands it over.
func TestKeyInAFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "kek")
	if err := kek.File(path).Create(); err != nil {
		t.Fatal(err)
	}
	if err := kek.File(path).Create(); err == nil {
		t.Error("a key was overwritten")
	}
	w := wraps(t, "file:"+path)
	wraps(t, "credential:kek", dir)

	other := filepath.Join(dir, "other")
	if err := kek.File(other).Create(); err != nil {
		t.Fatal(err)
	}
	wrapped, err := w.Wrap(t.Context(), []byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kek.File(other).Unwrap(t.Context(), wrapped); err == nil {
		t.Error("another key opens it")
	}

	refused := func(name, want string) {
		t.Helper()
		if _, err := w.Unwrap(t.Context(), wrapped); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil { // as an operator might
		t.Fatal(err)
	}
	refused("readable by others", "chmod 600")
	if err := os.WriteFile(other, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	refused("not a key", "contains no key")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refused("missing", "no such file")
	c, err := kek.Parse("credential:kek", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Unwrap(t.Context(), wrapped); err == nil || !strings.Contains(err.Error(), "LoadCredential=kek:") {
		t.Errorf("no credentials: %v", err)
	}
}

// TestProgram seals with a program's help, and reports what a failing one says.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	script := func(name, body string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// It only turns the text around behind a mark, and refuses what does not end like ours.
	good := script("good", `case "$1" in
wrap) read -r in; printf '%s%s' kek "$(printf %s "$in" | rev)" | base64 -w0 ;;
unwrap) read -r in; in=$(printf %s "$in" | base64 -d) || exit 3
	case "$in" in kek*) ;; *) echo "not mine" >&2; exit 4 ;; esac
	out=$(printf %s "${in#kek}" | rev); printf %s "$out" | base64 -d >/dev/null 2>&1 && printf %s "$out" | grep -q '=$' || { echo "altered" >&2; exit 5; }
	printf %s "$out" ;;
esac
`)
	w, err := kek.Parse("exec:"+good, "")
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("a data key of thirty-two bytes..")
	wrapped, err := w.Wrap(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := w.Unwrap(t.Context(), wrapped); err != nil || !bytes.Equal(got, key) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := w.Unwrap(t.Context(), []byte("foreign")); err == nil || !strings.Contains(err.Error(), "not mine") {
		t.Errorf("foreign: %v", err)
	}
	for name, body := range map[string]string{"silent": "exit 0", "failing": "echo no token >&2; exit 1", "garbage": "echo '%%%'",
		"endless": "yes | tr -d '\\n' | head -c 100000"} {
		bad, err := kek.Parse("exec:"+script(name, body), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bad.Unwrap(t.Context(), wrapped); err == nil || strings.Contains(err.Error(), "no token") != (name == "failing") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fakeKMS answers Encrypt and Decrypt of one key, in AWS' JSON protocol, and fails for any other
// key or encryption context.
func fakeKMS(t *testing.T, key string) *httptest.Server {
	t.Helper()
	file := kek.File(filepath.Join(t.TempDir(), "kms"))
	if err := file.Create(); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			KeyId             string // as AWS spells it
			Plaintext         []byte
			CiphertextBlob    []byte
			EncryptionContext map[string]string
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &in)
		}
		out := map[string]string{"KeyId": key}
		refuse := func(kind string) {
			w.Header().Set("X-Amzn-Errortype", kind)
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": "refused"})
		}
		if err != nil || in.KeyId != key || in.EncryptionContext["paylink"] != "keys" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
			refuse("AccessDeniedException")
			return
		}
		switch r.Header.Get("X-Amz-Target") {
		case "TrentService.Encrypt":
			b, err := file.Wrap(r.Context(), in.Plaintext)
			if err != nil {
				refuse("KMSInternalException")
				return
			}
			out["CiphertextBlob"] = base64.StdEncoding.EncodeToString(b)
		case "TrentService.Decrypt":
			b, err := file.Unwrap(r.Context(), in.CiphertextBlob)
			if err != nil {
				refuse("InvalidCiphertextException")
				return
			}
			out["Plaintext"] = base64.StdEncoding.EncodeToString(b)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(s.Close)
	return s
}

// TestKMS seals under a key of AWS KMS, as a server in the test process speaks its protocol.
func TestKMS(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	const arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"
	s := fakeKMS(t, arn)
	wraps(t, "awskms:"+arn+"?endpoint="+s.URL)
	wraps(t, "awskms:"+arn+"?region=eu-west-1&endpoint="+s.URL)
	other, err := kek.Parse("awskms:alias/other?region=eu-west-1&endpoint="+s.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Wrap(t.Context(), []byte("key")); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("another key: %v", err)
	}
}

// TestParse refuses settings that name no key, and says what it wants.
func TestParse(t *testing.T) {
	for _, bad := range []string{"file", "file:", "kek", "exec:relative", "credential:a/b", "credential:", "awskms:", "awskms:?region=x",
		"awskms:k?zone=1", "vault:x"} {
		if _, err := kek.Parse(bad, ""); err == nil || !strings.Contains(err.Error(), "want") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if w, err := kek.Parse("", ""); w != nil || err != nil {
		t.Errorf("no setting: %v, %v", w, err)
	}
}
