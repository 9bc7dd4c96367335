package chart_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/strvals"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const (
	chart   = "../../deploy/helm/paylink"
	release = "paylink"
)

// rendered once; the tests only read.
var rendered = map[string][]runtime.Object{}

// eachValues runs f for every file of values in the chart's ci folder, rendered.
func eachValues(t *testing.T, f func(t *testing.T, name string, objects []runtime.Object)) {
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil || len(files) < 4 {
		t.Fatal("the files of values are missing", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), "-values.yaml")
		t.Run(name, func(t *testing.T) {
			if rendered[name] == nil {
				values, err := common.ReadValuesFile(file)
				if err != nil {
					t.Fatal(err)
				}
				out, err := render(values)
				if err != nil {
					t.Fatal(err)
				}
				objects, err := manifests([]byte(out))
				if err != nil {
					t.Fatal(err)
				}
				rendered[name] = objects
			}
			f(t, name, rendered[name])
		})
	}
}

func only[T runtime.Object](objects []runtime.Object) (found []T) {
	for _, o := range objects {
		if o, ok := o.(T); ok {
			found = append(found, o)
		}
	}
	return found
}

func named[T metav1.Object](all []T) map[string]T {
	m := map[string]T{}
	for _, o := range all {
		m[o.GetName()] = o
	}
	return m
}

// targets lists the services of the design, and what each may hold. A Secret's name contains its
// service.
var targets = []string{"gateway", "users", "links", "verifier", "payments", "transactions", "notifier", "fraud", "simulator"}

func running(name string) []string {
	if name == "live-dynamodb" {
		return targets[:8]
	}
	return targets
}

func TestLint(t *testing.T) {
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		values, err := common.ReadValuesFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := lintStrict(values); err != nil {
			t.Error(file, err)
		}
	}
}

// TestSchema checks that Kubernetes accepts every manifest of every set of values.
func TestSchema(t *testing.T) {
	eachValues(t, func(t *testing.T, name string, objects []runtime.Object) {
		if got := slices.Sorted(maps.Keys(named(only[*appsv1.Deployment](objects)))); len(got) != len(running(name)) {
			t.Errorf("Deployments %v", got)
		}
		t.Logf("%d objects are valid for Kubernetes 1.37", len(objects))
	})
}

// TestValues checks that misspelled, missing or wrongly typed values are refused.
func TestValues(t *testing.T) {
	for _, c := range []struct{ words, set string }{
		{"additional properties 'replica' not allowed", "targets.gateway.replica=2"},
		{"additional properties 'targetz' not allowed", "targetz.gateway.replicas=2"},
		{"additional properties 'password' not allowed", "database.password=x"},
		{"got string, want integer", "targets.links.replicas=two"},
		{"does not match pattern", "targets.links.resources.limits.cpu=a lot"},
		{"does not match pattern", "publicUrl=pay.example.com"},
		{"does not match pattern", "publicUrl="},
		{"services must prove themselves", "internal.keys.enabled=false,internal.tls.enabled=false"},
		{"additional properties 'existingSecret' not allowed", "internal.existingSecret=paylink-internal"},
		{"name the Gateway", "httpRoute.enabled=true"},
	} {
		values := map[string]any{"publicUrl": "https://pay.example.com"}
		if err := strvals.ParseInto(c.set, values); err != nil {
			t.Fatal(err)
		}
		_, err := render(values)
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("--set %s: want a refusal with %q, got: %v", c.set, c.words, err)
		}
	}
}

// TestContainers checks limits, probes, a read-only image, and that Kubernetes cannot set one of
// our PAYLINK_ variables by a service's name.
func TestContainers(t *testing.T) {
	eachValues(t, func(t *testing.T, _ string, objects []runtime.Object) {
		for _, o := range objects {
			template := podTemplate(o)
			if template == nil {
				continue
			}
			spec := template.Spec
			if len(spec.Containers) != 1 || len(spec.InitContainers) != 0 {
				t.Fatalf("%s: one container, please", spec.ServiceAccountName)
			}
			c := spec.Containers[0]
			for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				limit, request := c.Resources.Limits[r], c.Resources.Requests[r]
				if limit.Sign() <= 0 || request.Sign() <= 0 {
					t.Errorf("%s: no limit or request of %s", c.Name, r)
				}
			}
			if c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
				t.Errorf("%s: its root can be written to", c.Name)
			}
			if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
				t.Errorf("%s: holds a token of the cluster", c.Name)
			}
			if spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
				t.Errorf("%s: service links would set PAYLINK_ variables", c.Name)
			}
			if spec.HostNetwork || spec.HostPID || spec.HostIPC {
				t.Errorf("%s: shares the host", c.Name)
			}
		}
		for _, d := range only[*appsv1.Deployment](objects) {
			c := d.Spec.Template.Spec.Containers[0]
			for what, p := range map[string]*corev1.Probe{"/healthz startup": c.StartupProbe, "/readyz readiness": c.ReadinessProbe,
				"/healthz liveness": c.LivenessProbe} {
				path, _, _ := strings.Cut(what, " ")
				if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != path || p.HTTPGet.Port.String() != "admin" {
					t.Errorf("%s: %s probe: %+v", c.Name, what, p)
				}
			}
		}
	})
}

// TestUpgrade checks that payments in progress survive a rolling upgrade.
func TestUpgrade(t *testing.T) {
	const drainSeconds, webhookSeconds = 30, 20 // app.DrainTimeout, webhook.StopTimeout
	eachValues(t, func(t *testing.T, name string, objects []runtime.Object) {
		budgets := named(only[*policyv1.PodDisruptionBudget](objects))
		scalers := named(only[*autoscalingv2.HorizontalPodAutoscaler](objects))
		for _, d := range only[*appsv1.Deployment](objects) {
			target := d.Labels["app.kubernetes.io/component"]
			spec := d.Spec.Template.Spec
			rest := *spec.TerminationGracePeriodSeconds - spec.Containers[0].Lifecycle.PreStop.Sleep.Seconds
			if rest < drainSeconds+webhookSeconds+5 {
				t.Errorf("%s: %d s to stop in", target, rest)
			}
			if target == "simulator" {
				if d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || *d.Spec.Replicas != 1 || scalers[d.Name] != nil ||
					budgets[d.Name] != nil {
					t.Errorf("two simulators may meet: %+v", d.Spec.Strategy)
				}
				continue
			}
			r := d.Spec.Strategy.RollingUpdate
			if r == nil || r.MaxUnavailable.IntValue() != 0 || r.MaxSurge.IntValue() != 1 || d.Spec.MinReadySeconds == 0 {
				t.Errorf("%s: %+v", target, d.Spec.Strategy)
			}
			if name == "gateway-api" {
				continue
			}
			if b := budgets[d.Name]; b == nil || !selects(b.Spec.Selector, d.Spec.Template.Labels) || b.Spec.MaxUnavailable.IntValue() != 1 {
				t.Errorf("%s: no PodDisruptionBudget", target)
			}
			if s := scalers[d.Name]; s == nil || s.Spec.ScaleTargetRef.Name != d.Name || s.Spec.ScaleTargetRef.Kind != "Deployment" ||
				*s.Spec.MinReplicas < 2 {
				t.Errorf("%s: no HorizontalPodAutoscaler", target)
			}
		}
		jobs := only[*batchv1.Job](objects)
		if len(jobs) != 1 || jobs[0].Annotations["helm.sh/hook"] != "pre-install,pre-upgrade" {
			t.Error("no migration before an install and an upgrade")
		}
	})
}

func selects(s *metav1.LabelSelector, of map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(of))
}

// TestServices checks that each Service leads to its own pods, that callers see all their
// addresses, and that only the gateway is reachable from outside.
func TestServices(t *testing.T) {
	eachValues(t, func(t *testing.T, name string, objects []runtime.Object) {
		deployments := only[*appsv1.Deployment](objects)
		services := named(only[*corev1.Service](objects))
		for _, target := range running(name) {
			s := services[release+"-"+target]
			if s == nil {
				t.Fatalf("no Service for %s", target)
			}
			if s.Spec.Type != corev1.ServiceTypeClusterIP || (s.Spec.ClusterIP == corev1.ClusterIPNone) == (target == "gateway") {
				t.Errorf("%s: %s %q", target, s.Spec.Type, s.Spec.ClusterIP)
			}
			for _, d := range deployments {
				own := d.Labels["app.kubernetes.io/component"] == target
				if labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(d.Spec.Template.Labels)) != own {
					t.Errorf("Service %s and Deployment %s", target, d.Name)
				}
			}
		}
		for _, i := range only[*networkingv1.Ingress](objects) {
			for _, rule := range i.Spec.Rules {
				for _, path := range rule.HTTP.Paths {
					if path.Backend.Service.Name != release+"-gateway" || path.Backend.Service.Port.Name != "http" || rule.Host != "pay.example.com" {
						t.Errorf("Ingress leads %s to %+v", rule.Host, path.Backend.Service)
					}
				}
			}
			if i.Spec.DefaultBackend != nil {
				t.Error("Ingress has a default backend")
			}
		}
		for _, r := range only[*gatewayv1.HTTPRoute](objects) {
			for _, rule := range r.Spec.Rules {
				for _, b := range rule.BackendRefs {
					if b.Name != release+"-gateway" || *b.Port != 80 || r.Spec.Hostnames[0] != "pay.example.com" {
						t.Errorf("HTTPRoute leads %v to %+v", r.Spec.Hostnames, b.BackendObjectReference)
					}
				}
			}
		}
	})
}

// TestSecrets checks that the chart contains none, and that each service refers only to its own.
func TestSecrets(t *testing.T) {
	want := map[string]map[string]string{ // values to service to Secrets
		"default": {
			"gateway":      "keys-gateway internal-gateway internal-tls-gateway",
			"users":        "database-users keys-users internal-users internal-tls-users",
			"links":        "database-links keys-links internal-links internal-tls-links",
			"verifier":     "database-verifier keys-verifier internal-verifier internal-tls-verifier",
			"payments":     "database-payments internal-payments internal-tls-payments",
			"simulator":    "keys-simulator internal-simulator internal-tls-simulator",
			"transactions": "database-transactions keys-transactions internal-transactions internal-tls-transactions",
			"notifier":     "database-notifier keys-notifier internal-notifier internal-tls-notifier",
			"fraud":        "database-fraud keys-fraud internal-fraud internal-tls-fraud", "migrate": "database",
		},
		"live-dynamodb": {
			"gateway": "keys-gateway internal-tls-gateway", "users": "database-users keys-users internal-tls-users",
			"links": "keys-links internal-tls-links", "verifier": "keys-verifier internal-tls-verifier",
			"payments": "database-payments internal-tls-payments", "transactions": "keys-transactions internal-tls-transactions",
			"notifier": "database-notifier keys-notifier internal-tls-notifier", "fraud": "database-fraud keys-fraud internal-tls-fraud",
			"migrate": "database-owner",
		},
		"everything": {
			"gateway":      "keys-gateway internal-gateway internal-tls-gateway",
			"users":        "database-users keys-users internal-users internal-tls-users",
			"links":        "aws aws keys-links internal-links internal-tls-links",
			"verifier":     "aws aws keys-verifier internal-verifier internal-tls-verifier",
			"payments":     "database-payments aws aws internal-payments internal-tls-payments",
			"transactions": "aws aws keys-transactions internal-transactions internal-tls-transactions",
			"notifier":     "database-notifier aws aws keys-notifier internal-notifier internal-tls-notifier",
			"simulator":    "keys-simulator internal-simulator internal-tls-simulator",
			"fraud":        "database-fraud aws aws keys-fraud internal-fraud internal-tls-fraud", "migrate": "database aws aws",
		},
	}
	want["gateway-api"] = want["default"]
	eachValues(t, func(t *testing.T, name string, objects []runtime.Object) {
		if len(only[*corev1.Secret](objects))+len(only[*corev1.ConfigMap](objects)) != 0 {
			t.Error("the chart makes Secrets or ConfigMaps")
		}
		accounts := map[string]bool{}
		for _, o := range objects {
			template := podTemplate(o)
			if template == nil {
				continue
			}
			target := template.Labels["app.kubernetes.io/component"]
			if got := strings.Join(secretsOf(template.Spec), " "); got != want[name][target] {
				t.Errorf("%s refers to the Secrets %q, want %q", target, got, want[name][target])
			}
			if a := template.Spec.ServiceAccountName; a != release+"-"+target || accounts[a] {
				t.Errorf("%s runs as %s", target, a)
			}
			accounts[template.Spec.ServiceAccountName] = true
		}
		for _, a := range only[*corev1.ServiceAccount](objects) {
			if !accounts[a.Name] || a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
				t.Errorf("ServiceAccount %s", a.Name)
			}
		}
	})
}

func secretsOf(spec corev1.PodSpec) (all []string) {
	add := func(name string) { all = append(all, strings.TrimPrefix(name, "paylink-")) }
	for _, e := range spec.Containers[0].Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			add(e.ValueFrom.SecretKeyRef.Name)
		}
	}
	for _, v := range spec.Volumes {
		if v.Secret != nil && *v.Secret.DefaultMode == 0o400 { // a wider mode is not the expected Secret
			add(v.Secret.SecretName)
		}
	}
	return all
}

// TestAlerts checks that the chart's rules use metrics that the documents list, and the job of
// the ServiceMonitor.
func TestAlerts(t *testing.T) {
	rules, err := os.ReadFile(chart + "/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/operate/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	metrics := regexp.MustCompile(`paylink_[a-z_]+`).FindAllString(string(rules), -1)
	if len(metrics) < 5 {
		t.Fatalf("the rules name %v", metrics)
	}
	for _, m := range metrics {
		if !strings.Contains(string(doc), strings.TrimSuffix(strings.TrimSuffix(m, "_count"), "_bucket")) {
			t.Errorf("docs/operate/alerts.md does not know %s", m)
		}
	}
	for _, job := range regexp.MustCompile(`job="([^"]*)"`).FindAllStringSubmatch(string(rules), -1) {
		if job[1] != "paylink" {
			t.Errorf("job %q", job[1])
		}
	}
}
