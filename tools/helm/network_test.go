package chart_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// place is where a connection starts or ends: one of our pods, another pod, or an address outside
// the cluster.
type place struct {
	name      string
	namespace string // empty outside the cluster
	labels    map[string]string
	address   string // of one outside
	ports     []int32
}

// world is everything that could connect to our pods, or they to it.
func world(objects []runtime.Object) (ours, others []place) {
	for _, o := range objects {
		if template := podTemplate(o); template != nil {
			p := place{name: template.Labels["app.kubernetes.io/component"], namespace: namespace, labels: template.Labels}
			for _, port := range template.Spec.Containers[0].Ports {
				p.ports = append(p.ports, port.ContainerPort)
			}
			ours = append(ours, p)
		}
	}
	app := func(name string) map[string]string { return map[string]string{"app.kubernetes.io/name": name} }
	others = []place{
		{name: "ingress-controller", namespace: "ingress-nginx", labels: app("ingress-nginx")},
		{name: "prometheus", namespace: "monitoring", labels: app("prometheus")},
		{name: "stranger", namespace: namespace, labels: app("stranger"), ports: []int32{8080}},
		{
			name:      "stranger-elsewhere",
			namespace: "default",
			labels: map[string]string{
				"app.kubernetes.io/name":      "paylink",
				"app.kubernetes.io/instance":  release,
				"app.kubernetes.io/component": "gateway",
			},
			ports: []int32{8081},
		},
		{name: "dns", namespace: "kube-system", labels: map[string]string{"k8s-app": "kube-dns"}, ports: []int32{53}},
		{name: "api-server", address: "10.96.0.1", ports: []int32{443}},
		{name: "postgresql", namespace: namespace, labels: app("postgresql"), ports: []int32{5432, 22}},
		{name: "postgresql-outside", address: "10.20.0.9", ports: []int32{5432, 22}},
		{name: "dynamodb", namespace: namespace, labels: app("dynamodb"), ports: []int32{8000}},
		{name: "issuer", address: "198.51.100.7", ports: []int32{443, 9443}},
		{name: "other-issuer", address: "203.0.113.20", ports: []int32{443}},
		{name: "internet", address: "93.184.216.34", ports: []int32{443, 8443}},
		{name: "internet-v6", address: "2606:2800:220:1::1", ports: []int32{443}},
		{name: "metadata", address: "169.254.169.254", ports: []int32{80, 443}},
		{name: "private-10", address: "10.1.2.3", ports: []int32{443}},
		{name: "private-172", address: "172.16.9.9", ports: []int32{443}},
		{name: "private-192", address: "192.168.1.1", ports: []int32{443}},
		{name: "private-v6", address: "fd00::1", ports: []int32{443}},
		{name: "mapped-v6", address: "::ffff:10.1.2.3", ports: []int32{443}},
	}
	return ours, others
}

// arrows returns all connections that the policies allow, by the rules of NetworkPolicy: a pod
// that a policy selects may do what some policy allows.
func arrows(policies []*networkingv1.NetworkPolicy, ours, others []place) (all []string) {
	everyone := slices.Concat(ours, others)
	for _, from := range everyone {
		for _, to := range everyone {
			if from.name == to.name || (slices.ContainsFunc(others, from.is) && slices.ContainsFunc(others, to.is)) {
				continue
			}
			for _, port := range to.ports {
				if allows(policies, networkingv1.PolicyTypeEgress, from, to, port) && allows(policies, networkingv1.PolicyTypeIngress, to, from, port) {
					all = append(all, fmt.Sprintf("%s -> %s:%d", from.name, to.name, port))
				}
			}
		}
	}
	return all
}

func (p place) is(other place) bool { return p.name == other.name }

func allows(policies []*networkingv1.NetworkPolicy, way networkingv1.PolicyType, pod, peer place, port int32) bool {
	selected := false
	for _, np := range policies {
		if pod.namespace != np.Namespace || !slices.Contains(np.Spec.PolicyTypes, way) || !selects(&np.Spec.PodSelector, pod.labels) {
			continue
		}
		selected = true
		if way == networkingv1.PolicyTypeEgress {
			for _, rule := range np.Spec.Egress {
				if onPort(rule.Ports, port) && isPeer(rule.To, np.Namespace, peer) {
					return true
				}
			}
			continue
		}
		for _, rule := range np.Spec.Ingress {
			if onPort(rule.Ports, port) && isPeer(rule.From, np.Namespace, peer) {
				return true
			}
		}
	}
	return !selected
}

func onPort(ports []networkingv1.NetworkPolicyPort, port int32) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		if p.Port == nil {
			return true
		}
		last := p.Port.IntVal
		if p.EndPort != nil {
			last = *p.EndPort
		}
		return p.Port.IntVal <= port && port <= last
	})
}

func isPeer(peers []networkingv1.NetworkPolicyPeer, home string, p place) bool {
	return len(peers) == 0 || slices.ContainsFunc(peers, func(peer networkingv1.NetworkPolicyPeer) bool {
		if peer.IPBlock != nil {
			return p.address != "" && inBlock(peer.IPBlock, netip.MustParseAddr(p.address))
		}
		if p.namespace == "" {
			return false
		}
		if peer.NamespaceSelector == nil {
			if p.namespace != home {
				return false
			}
		} else if !selects(peer.NamespaceSelector, map[string]string{corev1.LabelMetadataName: p.namespace}) {
			return false
		}
		every := &metav1.LabelSelector{}
		if peer.PodSelector != nil {
			every = peer.PodSelector
		}
		return selects(every, p.labels)
	})
}

func inBlock(block *networkingv1.IPBlock, a netip.Addr) bool {
	return netip.MustParsePrefix(block.CIDR).Contains(a) &&
		!slices.ContainsFunc(block.Except, func(except string) bool { return netip.MustParsePrefix(except).Contains(a) })
}

// design returns the intended connections between services, written by hand. A further connection
// that the policies allow is a hole, and a missing one is an outage.
func design(name string) []string {
	want := strings.Fields(`gateway→users:8081 gateway→links:8081 gateway→verifier:8081 gateway→payments:8081
		gateway→transactions:8081 gateway→notifier:8081 gateway→fraud:8081 transactions→fraud:8081 ingress-controller→gateway:8080
		notifier→internet:443 notifier→internet:8443 notifier→internet-v6:443`)
	database, simulated := "postgresql:5432", true
	var payments, issuer string
	switch name {
	case "live-dynamodb":
		database, simulated, payments, issuer = "postgresql-outside:5432", false, "internet:443", "issuer:9443"
	case "everything":
		payments, issuer = "dynamodb:8000", "other-issuer:443"
	}
	if simulated {
		want = append(want, "gateway→simulator:8081", "transactions→simulator:8081", "simulator→transactions:8081")
	}
	onDatabase, onTable := "users links verifier payments transactions notifier fraud migrate", ""
	if payments != "" { // the notifier relays the table's stream into the database's feed
		onDatabase, onTable = "users payments notifier fraud migrate", "links verifier payments transactions notifier fraud migrate"
		want = append(want, "transactions→"+issuer)
	}
	for _, target := range strings.Fields(onDatabase) {
		want = append(want, target+"→"+database)
	}
	for _, target := range strings.Fields(onTable) {
		want = append(want, target+"→"+payments)
	}
	if name == "live-dynamodb" { // the rule for DynamoDB's public addresses contains these too
		for _, target := range strings.Fields(onTable) {
			want = append(want, target+"→issuer:443", target+"→other-issuer:443")
		}
	}
	want = slices.Compact(slices.Sorted(slices.Values(want))) // the notifier may reach the internet by two rules
	for _, target := range append(running(name), "migrate") {
		want = append(want, target+"→dns:53")
		if target != "migrate" {
			want = append(want, "prometheus→"+target+":9090")
		}
	}
	for i := range want {
		want[i] = strings.Replace(want[i], "→", " -> ", 1)
	}
	slices.Sort(want)
	return want
}

// TestArrows checks every pair of pods, and every pod against the outside.
func TestArrows(t *testing.T) {
	eachValues(t, func(t *testing.T, name string, objects []runtime.Object) {
		policies := only[*networkingv1.NetworkPolicy](objects)
		if name == "gateway-api" {
			if len(policies) != 0 {
				t.Error("policies, though switched off")
			}
			return
		}
		ours, others := world(objects)
		got, want := arrows(policies, ours, others), design(name)
		slices.Sort(got)
		for _, a := range got {
			if !slices.Contains(want, a) {
				t.Errorf("the policies let through what the design does not draw: %s", a)
			}
		}
		for _, a := range want {
			if !slices.Contains(got, a) {
				t.Errorf("the policies cut: %s", a)
			}
		}
		t.Logf("%d arrows of %d places, as designed", len(got), len(ours)+len(others))
	})
}

// TestCalls checks that a service gets the addresses of those that it may call, and of no others.
func TestCalls(t *testing.T) {
	eachValues(t, func(t *testing.T, name string, objects []runtime.Object) {
		for _, d := range only[*appsv1.Deployment](objects) {
			c := d.Spec.Template.Spec.Containers[0]
			var got, want []string
			for _, arg := range c.Args {
				if service, ok := strings.CutPrefix(arg, "--service="); ok {
					target, url, _ := strings.Cut(service, "=")
					scheme := map[bool]string{true: "https", false: "http"}[slices.Contains(c.Args, "--internal-tls=/etc/paylink/tls")]
					if url != fmt.Sprintf("%s://%s-%s:8081", scheme, release, target) {
						t.Errorf("%s: %s", c.Name, arg)
					}
					got = append(got, target)
				}
			}
			for _, a := range design(name) {
				if to, ok := strings.CutPrefix(a, c.Name+" -> "); ok && strings.HasSuffix(to, ":8081") {
					want = append(want, strings.TrimSuffix(to, ":8081"))
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s calls %v, want %v", c.Name, got, want)
			}
		}
	})
}
