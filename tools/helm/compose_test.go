package chart_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

const composeFile = "../../deploy/compose.yaml"

// compose loads the file as docker compose does: interpolated, merged, and validated against the
// specification's schema.
func compose(t *testing.T, profiles ...string) *types.Project {
	options, err := cli.NewProjectOptions(
		[]string{composeFile},
		cli.WithProfiles(profiles),
		cli.WithInterpolation(true),
		cli.WithResolvedPaths(true),
	)
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// TestCompose checks that every service runs, with limits and without privileges, holds its own
// secrets, and that only the gateway's port is published.
func TestCompose(t *testing.T) {
	project := compose(t, "dynamodb")
	for _, name := range append(slices.Clone(targets), "migrate", "postgres", "dynamodb") {
		if _, ok := project.Services[name]; !ok {
			t.Errorf("no service %s", name)
		}
	}
	if _, ok := compose(t).Services["dynamodb"]; ok {
		t.Error("DynamoDB Local runs though nobody asked for it")
	}
	for name, s := range project.Services {
		if got := len(s.Ports); got != map[bool]int{true: 1, false: 0}[name == "gateway"] {
			t.Errorf("%s publishes %d ports", name, got)
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" || p.Target != 8080 {
				t.Errorf("%s publishes %+v", name, p)
			}
		}
		if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 ||
			s.Deploy.Resources.Limits.NanoCPUs == 0 {
			t.Errorf("%s is not bounded", name)
		}
		if s.Privileged || s.NetworkMode == "host" {
			t.Errorf("%s shares the host", name)
		}
		if !slices.Contains(targets, name) {
			continue
		}
		if !s.ReadOnly || s.User != "65532:65532" || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.StopGracePeriod == nil ||
			s.HealthCheck == nil {
			t.Errorf("%s: read only %t, user %s, drops %v", name, s.ReadOnly, s.User, s.CapDrop)
		}
		holdsOnly(t, name, s)
	}
	for _, name := range append(slices.Clone(targets), "migrate") { // the notifier runs the relay
		_, knows := project.Services[name].Environment["PAYLINK_PAYMENTS_STORE"]
		if apart := !slices.Contains([]string{"gateway", "users", "simulator"}, name); knows != apart {
			t.Errorf("%s knows where links and payments are: %t", name, knows)
		}
	}
	if !project.Networks["inside"].Internal || !project.Networks["data"].Internal {
		t.Error("the inner networks lead outside")
	}
}

// holdsOnly checks that a service holds only the store's address if it has a store, its own keys,
// and the internal secret.
func holdsOnly(t *testing.T, name string, s types.ServiceConfig) {
	stateless := name == "gateway" || name == "simulator"
	if stateless != (len(s.Secrets) == 0) || (!stateless && s.Secrets[0].Source != "store") {
		t.Errorf("%s has the secrets %v", name, s.Secrets)
	}
	for _, v := range s.Volumes {
		switch filepath.ToSlash(v.Source)[strings.LastIndex(filepath.ToSlash(v.Source), "/deploy/")+1:] {
		case "deploy/secrets/internal", "deploy/secrets/keys/" + name:
			if !v.ReadOnly {
				t.Errorf("%s may write to %s", name, v.Source)
			}
		case "simulator":
			if name != "simulator" {
				t.Errorf("%s has the simulator's book", name)
			}
		default:
			t.Errorf("%s has the volume %s", name, v.Source)
		}
	}
}

// TestComposeArguments checks that the binary accepts every service's arguments.
func TestComposeArguments(t *testing.T) {
	project := compose(t)
	etc, config := t.TempDir(), filepath.Join(t.TempDir(), "store.json")
	if err := os.WriteFile(config, []byte(`{"store":"sqlite:x.db"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	credentials(t, etc)
	told := func(s types.ServiceConfig) []string {
		args := moved(s.Command, etc, t.TempDir())
		for i, a := range args {
			args[i] = strings.Replace(a, "/run/secrets/store", config, 1)
		}
		return args
	}
	if out, err := paylink(nil, told(project.Services["migrate"])...); err != nil || !strings.Contains(out, "schema") {
		t.Error(out, err)
	}
	if err := os.WriteFile(config, []byte(`{"store":"postgres://paylink:secret@postgres:5432/paylink?sslmode=disable"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ring := makeRing(t)
	for _, target := range targets {
		if err := os.RemoveAll(filepath.Join(etc, "keys")); err != nil {
			t.Fatal(err)
		}
		_, err := paylink(nil, "keys", "export", "--keys", ring, "--target", target, filepath.Join(etc, "keys"))
		s := project.Services[target]
		if holds := slices.Contains(s.Command, "--keys=/etc/paylink/keys"); holds != (err == nil) {
			t.Errorf("%s: compose gives it keys: %t; keys export: %v", target, holds, err)
		}
		var env []string
		for name, value := range s.Environment {
			if value != nil {
				env = append(env, name+"="+*value)
			}
		}
		args := told(s)
		args[0] = "check-config"
		if _, err := paylink(env, args...); err != nil {
			t.Error(err)
		}
	}
}

// TestDockerfile checks that it parses, ends in an empty image with an unprivileged user, copies
// existing files, and that its build command builds.
func TestDockerfile(t *testing.T) {
	file, err := os.Open("../../deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	parsed, err := parser.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := stages[len(stages)-1]
	if last.BaseName != "scratch" {
		t.Errorf("the image is made from %s", last.BaseName)
	}
	var user, entry string
	for _, c := range last.Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.EntrypointCommand:
			entry = strings.Join(c.CmdLine, " ")
		case *instructions.RunCommand:
			t.Errorf("an empty image cannot run %v", c.CmdLine)
		}
	}
	if user != "65532:65532" || entry != "/paylink" {
		t.Errorf("it runs %q as %q", entry, user)
	}
	source := t.TempDir()
	for _, c := range stages[0].Commands {
		switch c := c.(type) {
		case *instructions.CopyCommand:
			for _, path := range c.SourcePaths {
				if out, err := exec.Command("cp", "-r", "../../"+path, source).CombinedOutput(); err != nil {
					t.Fatalf("COPY %s: %v %s", path, err, out)
				}
			}
		case *instructions.RunCommand:
			line := strings.Join(c.CmdLine, " ")
			if !strings.Contains(line, "go build") {
				continue
			}
			cmd := exec.Command("sh", "-ec", strings.ReplaceAll(line, "/out", source+"/out"))
			cmd.Dir, cmd.Env = source, append(os.Environ(), "GOFLAGS=-mod=readonly", "VERSION=from-the-dockerfile")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v %s", line, err, out)
			}
		}
	}
	out, err := exec.Command(source+"/out/paylink", "version").Output()
	if err != nil || !strings.Contains(string(out), "from-the-dockerfile") {
		t.Errorf("%s %v", out, err)
	}
}
