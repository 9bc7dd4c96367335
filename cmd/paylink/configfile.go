package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxConfigBytes limits the configuration file.
const maxConfigBytes = 64 << 10

// configFile is the path of a JSON object whose members are flag names, with hyphens as
// underscores. One file may serve every command: a member must be a flag of some command, and
// applies to the commands that have it. A member that is unknown, misspelled, duplicated or of
// the wrong type ends the command before it does anything, because a setting that is silently
// ignored is worse than none.
type configFile string

// BeforeResolve reads the file named by the flag or its variable. Kong calls it before it sets
// flags.
func (configFile) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path := string(ctx.FlagValue(trace.Flag).(configFile)) // the flag has this type
	settings, err := readConfig(path, settingKinds(ctx.Model.Node))
	if err != nil {
		return fmt.Errorf("--config %s: %w", path, err)
	}
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		return settings[settingName(flag.Name)], nil
	}))
	return nil
}

func settingName(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// settingKinds returns the settings that a file may contain, and the types of their values: the
// flags of all commands except those that call a server, which have their own file, without the
// one that names the file and those without a variable.
func settingKinds(node *kong.Node) map[string]reflect.Kind {
	known := map[string]reflect.Kind{}
	if isRemote(node) {
		return known
	}
	for _, f := range node.Flags {
		if f.Name != "config" && f.Name != "help" && len(f.Envs) > 0 {
			known[settingName(f.Name)] = f.Target.Kind()
		}
	}
	for _, child := range node.Children {
		maps.Copy(known, settingKinds(child))
	}
	return known
}

// readConfig reads the file's settings, or returns everything that is wrong with it.
func readConfig(path string, known map[string]reflect.Kind) (map[string]any, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, cause(err)
	}
	if len(raw) > maxConfigBytes {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxConfigBytes)
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(raw, &members); err != nil || members == nil { // null is not an error
		return nil, malformed(raw, err)
	}
	settings, wrong := map[string]any{}, []string(nil)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		kind, ok := known[name]
		if !ok {
			wrong = append(wrong, unknownSetting(name, known))
			continue
		}
		value, err := settingValue(members[name], kind)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%q must be %v", name, err))
			continue
		}
		settings[name] = value
	}
	if len(wrong) > 0 {
		return nil, errors.New(strings.Join(wrong, "\n"))
	}
	return settings, nil
}

// cause removes the path, which the caller adds.
func cause(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

func malformed(raw []byte, err error) error {
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntactic) && errors.Is(syntactic, jsontext.ErrDuplicateName):
		return fmt.Errorf("%q is given twice", syntactic.JSONPointer.LastToken())
	case errors.As(err, &syntactic):
		line := 1 + strings.Count(string(raw[:min(int(syntactic.ByteOffset), len(raw))]), "\n")
		return fmt.Errorf("line %d is not valid JSON: %w", line, syntactic.Err)
	}
	return errors.New("the file must contain one JSON object")
}

func unknownSetting(name string, known map[string]reflect.Kind) string {
	plain := strings.NewReplacer("-", "", "_", "")
	for k := range known {
		if strings.EqualFold(plain.Replace(k), plain.Replace(name)) {
			return fmt.Sprintf("unknown setting %q: did you mean %q?", name, k)
		}
	}
	if plain.Replace(name) == "config" {
		return fmt.Sprintf("%q cannot be set in the file", name)
	}
	return fmt.Sprintf("unknown setting %q; the settings are %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
}

// settingValue parses a value of exactly the flag's type; the error names the type.
func settingValue(v jsontext.Value, kind reflect.Kind) (any, error) {
	var value any
	if err := json.Unmarshal(v, &value); err != nil {
		return nil, err
	}
	_, isText := value.(string)
	other := func(e any) bool { _, ok := e.(string); return !ok }
	switch kind {
	case reflect.Map:
		object, ok := value.(map[string]any)
		if !ok || slices.ContainsFunc(slices.Collect(maps.Values(object)), other) {
			return nil, errors.New("an object whose members are strings")
		}
	case reflect.Bool:
		if _, ok := value.(bool); !ok {
			return nil, errors.New("true or false, without quotes")
		}
	case reflect.Slice:
		list, isList := value.([]any)
		if !isText && (!isList || slices.ContainsFunc(list, other)) {
			return nil, errors.New("a string, or a list of strings")
		}
	default:
		if !isText {
			return nil, errors.New("a string, in quotes")
		}
	}
	return value, nil
}
