package chart_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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

// TestMigrateArguments runs the migration with its arguments on a file, which has no roles.
func TestMigrateArguments(t *testing.T) {
	eachValues(t, func(t *testing.T, _ string, objects []runtime.Object) {
		c := only[*batchv1.Job](objects)[0].Spec.Template.Spec.Containers[0]
		data := t.TempDir()
		out, err := paylink([]string{"PAYLINK_STORE=sqlite:x.db"}, withoutRoles(moved(c.Args, "", data))...)
		if err != nil || !strings.Contains(out, "schema") {
			t.Errorf("%s %v", out, err)
		}
	})
}

// withoutRoles removes the flag that needs PostgreSQL.
func withoutRoles(args []string) []string {
	return slices.DeleteFunc(args, func(a string) bool { return a == "--roles=paylink_" })
}

// TestServeArguments checks that the binary accepts what the chart passes to each service, with
// files where the Secrets would be, and that a service receives keys exactly if it can hold any.
func TestServeArguments(t *testing.T) {
	ring, internal := makeRing(t), makeRoot(t)
	eachValues(t, func(t *testing.T, name string, objects []runtime.Object) {
		for _, d := range only[*appsv1.Deployment](objects) {
			c := d.Spec.Template.Spec.Containers[0]
			root := t.TempDir()
			credentials(t, internal, c.Name, root)
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

// credentials makes the keys and the certificate of a service, as an operator would.
func credentials(t *testing.T, root, service, etc string) {
	made := filepath.Join(t.TempDir(), "certificates")
	for _, command := range [][]string{
		{"internal-keys", "export", "--root", root, "--target", service, filepath.Join(etc, "internal", "internal.json")},
		{"certificates", "--target", service, "--host", release + "-{target}", made},
	} {
		if _, err := paylink(nil, command...); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(made, service), filepath.Join(etc, "tls")); err != nil {
		t.Fatal(err)
	}
}

// makeRoot creates the root of the keys between services.
func makeRoot(t *testing.T) string {
	root := filepath.Join(t.TempDir(), "root.json")
	if _, err := paylink(nil, "internal-keys", "create", root); err != nil {
		t.Fatal(err)
	}
	return root
}
