package chart_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// paylink runs the built binary without our own environment.
func paylink(env []string, args ...string) (string, error) {
	cmd := exec.Command(os.Getenv("PAYLINK_BINARY"), args...)
	cmd.Env = append([]string{}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("paylink %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// TestMigrateArguments runs the migration with its exact arguments, on a file.
func TestMigrateArguments(t *testing.T) {
	eachValues(t, func(t *testing.T, _ string, objects []runtime.Object) {
		c := only[*batchv1.Job](objects)[0].Spec.Template.Spec.Containers[0]
		data := t.TempDir()
		out, err := paylink([]string{"PAYLINK_STORE=sqlite:x.db"}, moved(c.Args, "", data)...)
		if err != nil || !strings.Contains(out, "schema") {
			t.Errorf("%s %v", out, err)
		}
	})
}

// TestServeArguments checks that the binary accepts what the chart passes to each service, with
// files where the Secrets would be, and that a service receives keys exactly if it can hold any.
func TestServeArguments(t *testing.T) {
	etc, ring := t.TempDir(), makeRing(t)
	credentials(t, etc)
	eachValues(t, func(t *testing.T, name string, objects []runtime.Object) {
		for _, d := range only[*appsv1.Deployment](objects) {
			c := d.Spec.Template.Spec.Containers[0]
			root := t.TempDir()
			for _, dir := range []string{"internal", "tls"} {
				if err := os.Symlink(filepath.Join(etc, dir), filepath.Join(root, dir)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := paylink(nil, "keys", "export", "--keys", ring, "--target", c.Name, filepath.Join(root, "keys"))
			if holds := slices.Contains(c.Args, "--keys=/etc/paylink/keys"); holds != (err == nil) {
				t.Errorf("%s: the chart gives it keys: %t; keys export: %v", c.Name, holds, err)
			}
			args := moved(c.Args, root, t.TempDir())
			args[0] = "check-config"
			env := environment(c)
			if out, err := paylink(env, args...); err != nil && !(name == "live-dynamodb" && lacksAnIssuer(c.Name, out)) {
				t.Error(err)
			}
			if _, err := paylink(env, append(args, "--no-such-flag")...); err == nil {
				t.Errorf("%s: anything goes", c.Name)
			}
		}
	})
}

// lacksAnIssuer checks that nothing else is wrong: the simulator is the only issuer, so the two
// services that call one refuse to run without it.
func lacksAnIssuer(target, out string) bool {
	lines := strings.Split(strings.TrimSpace(strings.TrimPrefix(out, "paylink: ")), "\n")
	return (target == "gateway" || target == "transactions") && len(lines) == 1 && strings.HasPrefix(lines[0], "--service simulator=URL")
}

// moved returns a container's arguments with its folders elsewhere.
func moved(args []string, etc, data string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = strings.NewReplacer("/etc/paylink", etc, "/var/lib/paylink", data).Replace(a)
	}
	return out
}

// environment returns what the kubelet would set.
func environment(c corev1.Container) (env []string) {
	for _, e := range c.Env {
		switch value := e.Value; {
		case e.ValueFrom == nil:
			env = append(env, e.Name+"="+value)
		case e.ValueFrom.ResourceFieldRef != nil:
			env = append(env, fmt.Sprintf("%s=%d", e.Name, c.Resources.Limits.Memory().Value()))
		case e.Name == "PAYLINK_STORE":
			env = append(env, e.Name+"=postgres://paylink:secret@postgresql:5432/paylink?sslmode=verify-full")
		default:
			env = append(env, e.Name+"=x")
		}
	}
	return env
}

// makeRing creates the keys of a deployment, as an operator would.
func makeRing(t *testing.T) string {
	ring := filepath.Join(t.TempDir(), "ring")
	if _, err := paylink(nil, "keys", "create", "--keys", ring); err != nil {
		t.Fatal(err)
	}
	return ring
}

// credentials writes an internal secret and a certificate with its authority.
func credentials(t *testing.T, etc string) {
	write := func(name string, raw []byte) {
		file := filepath.Join(etc, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, raw, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	write("internal/secret", []byte(strings.Repeat("0123456789abcdef", 4)+"\n"))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "paylink"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		DNSNames:              []string{"paylink-gateway"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write("tls/tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	write("tls/ca.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	write("tls/tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}
