package chart_test

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	chartutil "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

// render does what "helm template" does, with Helm's own loader, schema check and engine. The
// command itself would pull in twice as many packages.
func render(values map[string]any) (string, error) {
	c, err := loader.Load(chart)
	if err != nil {
		return "", err
	}
	given, err := chartutil.ToRenderValues(
		c,
		values,
		common.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true},
		nil,
	)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(c, given)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if base := path.Base(name); base == "NOTES.txt" || strings.HasPrefix(base, "_") {
			continue // for people, and for other templates
		}
		out.WriteString("---\n# Source: " + name + "\n" + files[name] + "\n")
	}
	return out.String(), nil
}

// lintStrict does what "helm lint --strict" does: a warning fails too.
func lintStrict(values map[string]any) error {
	var wrong []error
	for _, m := range lint.RunAll(chart, values, namespace).Messages {
		if m.Severity >= support.WarningSev {
			wrong = append(wrong, m)
		}
	}
	return errors.Join(wrong...)
}
