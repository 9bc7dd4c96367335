// Package chart checks the Helm chart and the compose file against what Kubernetes accepts and
// what the design allows. It is a module of its own, so that the product does not depend on
// Kubernetes. No cluster is needed: the manifests are decoded strictly into Kubernetes' types,
// given its defaults, and checked by the same functions that the API server runs.
package chart_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	podapi "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	autoscalingvalidation "k8s.io/kubernetes/pkg/apis/autoscaling/validation"
	"k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	batchvalidation "k8s.io/kubernetes/pkg/apis/batch/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	psaapi "k8s.io/pod-security-admission/api"
	psa "k8s.io/pod-security-admission/policy"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const namespace = "pay" // of the rendered releases

func init() {
	for _, add := range []func(*runtime.Scheme) error{gatewayv1.Install, monitoringv1.AddToScheme} {
		if err := add(legacyscheme.Scheme); err != nil {
			panic(err)
		}
	}
}

// manifests splits a rendered chart and checks each object as the API server would. It returns
// the objects in their versioned types, with defaults.
func manifests(raw []byte) ([]runtime.Object, error) {
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, legacyscheme.Scheme, legacyscheme.Scheme,
		json.SerializerOptions{Yaml: true, Strict: true})
	documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(raw)))
	var objects []runtime.Object
	var wrong []error
	buffer := make([]byte, 1<<20)
	for {
		n, err := documents.Read(buffer)
		if errors.Is(err, io.EOF) {
			return objects, errors.Join(wrong...)
		}
		if err != nil {
			return nil, err
		}
		if blank(buffer[:n]) {
			continue
		}
		object, kind, err := strict.Decode(slices.Clone(buffer[:n]), nil, nil)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%v: %w", kind, err))
			continue
		}
		legacyscheme.Scheme.Default(object)
		about, err := meta.Accessor(object)
		if err != nil {
			return nil, err
		}
		if about.GetNamespace() == "" {
			about.SetNamespace(namespace)
		}
		for _, err := range check(object) {
			wrong = append(wrong, fmt.Errorf("%s %s: %w", kind.Kind, about.GetName(), err))
		}
		objects = append(objects, object)
	}
}

func blank(document []byte) bool {
	for line := range bytes.Lines(document) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("---")) {
			return false
		}
	}
	return true
}

// check returns the API server's errors for a new object, with its warnings and the restricted
// Pod Security Standard as errors.
func check(object runtime.Object) (wrong []error) {
	switch object.(type) {
	case *gatewayv1.HTTPRoute, *monitoringv1.ServiceMonitor, *monitoringv1.PrometheusRule:
		return nil // not built in; strict decoding is all that is possible here
	}
	object = admitted(object)
	internal, err := legacyscheme.Scheme.ConvertToVersion(object, runtime.InternalGroupVersioner)
	if err != nil {
		return []error{err}
	}
	var found field.ErrorList
	var template *core.PodTemplateSpec
	switch o := internal.(type) {
	case *apps.Deployment:
		template = &o.Spec.Template
		found = appsvalidation.ValidateDeployment(o, podapi.GetValidationOptionsFromPodTemplate(template, nil))
	case *batch.Job:
		template = &o.Spec.Template
		found = batchvalidation.ValidateJobCreate(o, batchvalidation.JobValidationOptions{
			PodValidationOptions: podapi.GetValidationOptionsFromPodTemplate(template, nil), RequirePrefixedLabels: true})
	case *core.Service:
		found = corevalidation.ValidateServiceCreate(o)
	case *core.ServiceAccount:
		found = corevalidation.ValidateServiceAccount(o)
	case *core.PersistentVolumeClaim:
		found = corevalidation.ValidatePersistentVolumeClaim(o, corevalidation.ValidationOptionsForPersistentVolumeClaim(o, nil))
	case *autoscaling.HorizontalPodAutoscaler:
		found = autoscalingvalidation.ValidateHorizontalPodAutoscaler(o, autoscalingvalidation.HorizontalPodAutoscalerSpecValidationOptions{
			MinReplicasLowerBound: 1})
	case *policy.PodDisruptionBudget:
		found = policyvalidation.ValidatePodDisruptionBudget(o, policyvalidation.PodDisruptionBudgetValidationOptions{})
	case *networking.NetworkPolicy:
		found = networkingvalidation.ValidateNetworkPolicy(o, networkingvalidation.ValidationOptionsForNetworking(o, nil))
	case *networking.Ingress:
		found = networkingvalidation.ValidateIngressCreate(o)
	default:
		return []error{fmt.Errorf("no check for %T: a chart that makes one needs it here", internal)}
	}
	found = append(found, legacyscheme.Scheme.Validate(context.Background(), gates, object)...)
	for _, err := range found {
		wrong = append(wrong, err)
	}
	if template != nil {
		for _, warning := range podapi.GetWarningsForPodTemplate(context.Background(), field.NewPath("spec", "template"), template, nil) {
			wrong = append(wrong, errors.New(warning))
		}
	}
	return append(wrong, restricted(object)...)
}

// gates are the defaults of the features that the generated checks use.
var gates = map[string]bool{"HPAScaleToZero": false, "WorkloadWithJob": false}

// admitted adds what the API server fills in between the defaults and the check.
func admitted(object runtime.Object) runtime.Object {
	object = object.DeepCopyObject()
	switch o := object.(type) {
	case *corev1.Service:
		if o.Spec.ClusterIP != "" {
			o.Spec.ClusterIPs = []string{o.Spec.ClusterIP}
		}
	case *batchv1.Job:
		o.UID = "11111111-2222-3333-4444-555555555555"
		mine := map[string]string{batchv1.ControllerUidLabel: string(o.UID), batchv1.JobNameLabel: o.Name}
		legacy := map[string]string{"controller-uid": string(o.UID), "job-name": o.Name}
		if o.Spec.Template.Labels == nil {
			o.Spec.Template.Labels = map[string]string{}
		}
		maps.Copy(o.Spec.Template.Labels, mine)
		maps.Copy(o.Spec.Template.Labels, legacy)
		o.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{batchv1.ControllerUidLabel: string(o.UID)}}
	}
	return object
}

// podTemplate returns the pod template of a Deployment or a Job.
func podTemplate(object runtime.Object) *corev1.PodTemplateSpec {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *batchv1.Job:
		return &o.Spec.Template
	}
	return nil
}

func restricted(object runtime.Object) (wrong []error) {
	template := podTemplate(object)
	if template == nil {
		return nil
	}
	evaluator, err := psa.NewEvaluator(psa.DefaultChecks(), nil)
	if err != nil {
		return []error{err}
	}
	level := psaapi.LevelVersion{Level: psaapi.LevelRestricted, Version: psaapi.LatestVersion()}
	for _, r := range evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec) {
		if !r.Allowed {
			wrong = append(wrong, fmt.Errorf("not restricted: %s: %s", r.ForbiddenReason, r.ForbiddenDetail))
		}
	}
	return wrong
}

// TestBroken checks the checks: each manifest in testdata/broken begins with the words that its
// refusal must contain.
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no broken manifests", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(raw), "\n")
			want := strings.TrimPrefix(first, "# ")
			if _, err = manifests(raw); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want a refusal with %q, got: %v", want, err)
			}
		})
	}
}
