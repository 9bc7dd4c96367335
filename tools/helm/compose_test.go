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

// The file, and the one that moves links and payments to DynamoDB.
const (
	composeFile = "../../deploy/compose.yaml"
	apartFile   = "../../deploy/compose.dynamodb.yaml"
)

// compose loads the file as docker compose does: interpolated, merged, and validated against the
// specification's schema.
func compose(t *testing.T) *types.Project { return load(t, composeFile) }

// apart loads both files, with DynamoDB Local.
func apart(t *testing.T) *types.Project { return load(t, composeFile, apartFile) }

func load(t *testing.T, files ...string) *types.Project {
	options, err := cli.NewProjectOptions(
		files,
		cli.WithProfiles([]string{"dynamodb"}),
		cli.WithEnv([]string{"PAYLINK_PAYMENTS_STORE=dynamodb://paylink?region=local&endpoint=http://dynamodb:8000"}),
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

// TestCompose checks that every service runs, with limits and without privileges, that it holds and
// reaches only what it needs, and that only the gateway's port is published.
func TestCompose(t *testing.T) {
	for name, project := range map[string]*types.Project{"PostgreSQL": compose(t), "DynamoDB": apart(t)} {
		t.Run(name, func(t *testing.T) { checkProject(t, project, name == "DynamoDB") })
	}
}

func checkProject(t *testing.T, project *types.Project, apart bool) {
	for _, name := range append(slices.Clone(targets), "migrate", "postgres", "certificates") {
		if _, ok := project.Services[name]; !ok {
			t.Errorf("no service %s", name)
		}
	}
	if _, ok := project.Services["dynamodb"]; ok != apart {
		t.Errorf("DynamoDB Local: %t", ok)
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
		holdsOnly(t, name, s, onDatabase(name, apart))
	}
	for _, name := range append(slices.Clone(targets), "migrate") { // the notifier runs the relay
		_, knows := project.Services[name].Environment["PAYLINK_PAYMENTS_STORE"]
		if want := apart && !slices.Contains([]string{"gateway", "users", "simulator"}, name); knows != want {
			t.Errorf("%s knows where links and payments are: %t", name, knows)
		}
		_, reaches := project.Services[name].Networks["database"]
		if reaches != onDatabase(name, apart) {
			t.Errorf("%s reaches PostgreSQL: %t", name, reaches)
		}
		if _, reaches := project.Services[name].Networks["table"]; reaches != knows {
			t.Errorf("%s reaches DynamoDB: %t", name, reaches)
		}
	}
	for _, name := range []string{"inside", "database"} {
		if !project.Networks[name].Internal {
			t.Errorf("the network %s leads outside", name)
		}
	}
	if c := project.Services["certificates"]; c.NetworkMode != "none" || len(c.Secrets) != 0 {
		t.Errorf("certificates has the network %q and the secrets %v", c.NetworkMode, c.Secrets)
	}
}

// onDatabase reports whether a service keeps something in PostgreSQL.
func onDatabase(name string, apart bool) bool {
	switch name {
	case "gateway", "simulator":
		return false
	case "links", "verifier", "transactions":
		return !apart
	}
	return true
}

// holdsOnly checks that a service holds only its own role in the database if it has one there, its
// own keys, and its own certificate.
func holdsOnly(t *testing.T, name string, s types.ServiceConfig, database bool) {
	if database != (len(s.Secrets) == 1) || (database && (s.Secrets[0].Source != "store-"+name || s.Secrets[0].Target != "store")) {
		t.Errorf("%s has the secrets %v", name, s.Secrets)
	}
	for _, v := range s.Volumes {
		switch filepath.ToSlash(v.Source)[strings.LastIndex(filepath.ToSlash(v.Source), "/deploy/")+1:] {
		case "deploy/secrets/internal/" + name, "deploy/secrets/keys/" + name, "tls-" + name:
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

// TestComposeArguments checks that the binary accepts every service's arguments, with the keys and
// the certificates that compose gives it.
func TestComposeArguments(t *testing.T) {
	project := compose(t)
	dir := t.TempDir()
	config, made := filepath.Join(dir, "store.json"), filepath.Join(dir, "certificates")
	write := func(store string) {
		if err := os.WriteFile(config, []byte(`{"store":"`+store+`"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := func(s types.ServiceConfig) (all []string) {
		for name, value := range s.Environment {
			if value != nil {
				all = append(all, name+"="+strings.Replace(*value, "/run/secrets/store", config, 1))
			}
		}
		return all
	}
	write("sqlite:x.db")
	migrate := project.Services["migrate"]
	if out, err := paylink(env(migrate), withoutRoles(moved(migrate.Command, "", t.TempDir()))...); err != nil || !strings.Contains(out, "schema") {
		t.Error(out, err)
	}
	var arguments []string
	for _, a := range project.Services["certificates"].Command {
		arguments = append(arguments, strings.Replace(a, "/certificates", made, 1))
	}
	if _, err := paylink(nil, arguments...); err != nil {
		t.Fatal(err)
	}
	for _, v := range project.Services["certificates"].Volumes {
		if _, err := os.Stat(filepath.Join(made, filepath.Base(v.Target))); err != nil {
			t.Errorf("the command writes nothing into %s: %v", v.Target, err)
		}
	}

	write("postgres://paylink_x:secret@postgres:5432/paylink?sslmode=disable")
	ring, root := makeRing(t), makeRoot(t)
	for _, target := range targets {
		etc := t.TempDir()
		_, err := paylink(nil, "keys", "export", "--keys", ring, "--target", target, filepath.Join(etc, "keys"))
		s := project.Services[target]
		if holds := slices.Contains(s.Command, "--keys=/etc/paylink/keys"); holds != (err == nil) {
			t.Errorf("%s: compose gives it keys: %t; keys export: %v", target, holds, err)
		}
		credentials(t, root, target, etc)
		args := moved(s.Command, etc, t.TempDir())
		args[0] = "check-config"
		if _, err := paylink(env(s), args...); err != nil {
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
