{{/* THE table: what each service calls, and what it holds. The arguments, the
     NetworkPolicies and the mounts all follow from it. A service with payments keeps
     links and payments: in DynamoDB if they are there, else in the database. One
     with database needs PostgreSQL wherever they are. */}}
{{- define "paylink.targets" -}}
gateway:      {calls: [users, links, verifier, payments, transactions, notifier, fraud, simulator], public: true}
users:        {calls: [], database: true}
links:        {calls: [], payments: true}
verifier:     {calls: [], payments: true}
payments:     {calls: [], database: true, payments: true}
transactions: {calls: [fraud, simulator], payments: true, issuers: true}
notifier:     {calls: [], database: true, payments: true, webhooks: true}
fraud:        {calls: [], database: true, payments: true}
simulator:    {calls: [transactions], single: true}
{{- end }}

{{/* The services that run here, each with its name and its values. */}}
{{- define "paylink.running" -}}
{{- $out := dict }}
{{- range $name, $box := fromYaml (include "paylink.targets" .) }}
{{- if or (ne $name "simulator") $.Values.simulator.enabled }}
{{- $calls := list }}
{{- range $box.calls }}{{ if or (ne . "simulator") $.Values.simulator.enabled }}{{ $calls = append $calls . }}{{ end }}{{ end }}
{{- $_ := set $box "calls" $calls }}
{{- $apart := ne $.Values.paymentsStore.url "" }}
{{- $_ := set $box "dynamodb" (and (hasKey $box "payments") $apart) }}
{{- $_ := set $box "database" (or (hasKey $box "database") (and (hasKey $box "payments") (not $apart))) }}
{{- $_ := set $out $name $box }}
{{- end }}
{{- end }}
{{- toJson $out }}
{{- end }}

{{- define "paylink.check" -}}
{{- if not (or .Values.internal.keys.enabled .Values.internal.tls.enabled) }}
{{- fail "internal.keys.enabled or internal.tls.enabled: services must prove themselves to one another" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.parentRefs: name the Gateway that serves publicUrl's host" }}
{{- end }}
{{- end }}

{{- define "paylink.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "paylink.select" -}}
app.kubernetes.io/name: paylink
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "paylink.labels" -}}
{{ include "paylink.select" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{- define "paylink.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "paylink.host" -}}
{{ regexReplaceAll ":[0-9]+$" (urlParse .Values.publicUrl).host "" }}
{{- end }}

{{/* What the restricted Pod Security Standard requires, and a bit more. */}}
{{- define "paylink.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "paylink.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The stores of a service. In: root, database and dynamodb (whether it has them),
     secret (the database's). */}}
{{- define "paylink.storeEnv" -}}
{{- if .database }}
- name: PAYLINK_STORE
  valueFrom: {secretKeyRef: {name: {{ .secret | default .root.Values.database.existingSecret }}, key: {{ .root.Values.database.key }}}}
{{- end }}
{{- if .dynamodb }}
- {name: PAYLINK_PAYMENTS_STORE, value: {{ .root.Values.paymentsStore.url | quote }}}
{{- with .root.Values.paymentsStore.credentialsSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_ACCESS_KEY_ID}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_SECRET_ACCESS_KEY}}
{{- end }}
{{- end }}
{{- end }}

{{- define "paylink.dnsEgress" -}}
- ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
  to: {{ toJson .Values.networkPolicy.dnsTo }}
{{- end }}

{{- define "paylink.databaseEgress" -}}
{{- with .Values.networkPolicy.database }}{{ if .to }}
- ports: [{protocol: TCP, port: {{ .port }}}]
  to: {{ toJson .to }}
{{- end }}{{ end }}
{{- end }}

{{- define "paylink.dynamodbEgress" -}}
{{- with .Values.networkPolicy.dynamodb }}{{ if .to }}
- ports: [{protocol: TCP, port: {{ .port }}}]
  to: {{ toJson .to }}
{{- end }}{{ end }}
{{- end }}
