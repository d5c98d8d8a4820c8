{{/* Names, labels, and which roles run. */}}

{{- define "tocsin.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Every object's name begins with this: the release's name. Room is left for the longest suffix. */}}
{{- define "tocsin.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* For objects without a namespace: unlike that of the same release elsewhere. */}}
{{- define "tocsin.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "tocsin.fullname" .) }}
{{- end }}

{{- define "tocsin.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tocsin.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of an object: the chart's own win over `commonLabels`. */}}
{{- define "tocsin.labels" -}}
{{- $own := dict
  "app.kubernetes.io/name" (include "tocsin.name" .)
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "tocsin"
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- toYaml (merge $own (omit .Values.commonLabels "app.kubernetes.io/component")) }}
{{- end }}

{{- define "tocsin.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end }}

{{/* The roles that have pods of their own, as a list under `roles`. */}}
{{- define "tocsin.roles" -}}
roles: {{ ternary (list "onePod") (list "operator" "receiver" "dispatcher" "console") (eq .Values.mode "onePod") | toJson }}
{{- end }}

{{/* The value of app.kubernetes.io/component of the pods that do what a role does: (list $ "receiver"). */}}
{{- define "tocsin.component" -}}
{{- $root := index . 0 -}}
{{- ternary "one-pod" (index . 1) (eq $root.Values.mode "onePod") -}}
{{- end }}

{{/* The name of a role's Deployment, ServiceAccount and so on: (list $ "receiver"). */}}
{{- define "tocsin.roleName" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- include "tocsin.fullname" $root }}{{ if ne $role "onePod" }}-{{ $role }}{{ end }}
{{- end }}

{{/* Who talks to the API server. */}}
{{- define "tocsin.operatorAccount" -}}
{{- include "tocsin.roleName" (list . (ternary "onePod" "operator" (eq .Values.mode "onePod"))) }}
{{- end }}

{{/* The namespaces whose objects are served, under `namespaces`; empty with cluster scope. */}}
{{- define "tocsin.namespaces" -}}
namespaces: {{ if .Values.scope.cluster }}[]{{ else }}{{ default (list .Release.Namespace) .Values.scope.namespaces | sortAlpha | uniq | toJson }}{{ end }}
{{- end }}

{{- define "tocsin.keysSecret" -}}
{{- default (printf "%s-keys" (include "tocsin.fullname" .)) .Values.keys.existingSecret }}
{{- end }}

{{/* The entry of it; what Tocsin makes itself has one of this name. */}}
{{- define "tocsin.keysEntry" -}}
{{- ternary .Values.keys.key "keys" (not (empty .Values.keys.existingSecret)) }}
{{- end }}

{{- define "tocsin.certificateSecret" -}}
{{- default (printf "%s-admission" (include "tocsin.fullname" .)) .Values.admission.certificate.existingSecret }}
{{- end }}

{{/* Whether somebody else makes and renews the certificate: "true" or "". */}}
{{- define "tocsin.certificateGiven" -}}
{{- $certificate := .Values.admission.certificate -}}
{{- if or $certificate.existingSecret $certificate.certManager.enabled }}true{{ end }}
{{- end }}

{{/* What the API server calls the admission server. */}}
{{- define "tocsin.admissionHost" -}}
{{ include "tocsin.fullname" . }}-admission.{{ .Release.Namespace }}.svc
{{- end }}

{{/* Who puts the authority of Tocsin's own certificate into the webhook: "operator", "job", or "" where it comes from elsewhere.
     The permission is worth the whole cluster, so the process that takes alerts has it with cluster scope only. */}}
{{- define "tocsin.trustBy" -}}
{{- if and .Values.admission.enabled (not (include "tocsin.certificateGiven" .)) -}}
{{ ternary "job" "operator" (and (eq .Values.mode "onePod") (not .Values.scope.cluster)) }}
{{- end -}}
{{- end }}

{{/* Whether the database is SQLite on a volume: "true" or "". */}}
{{- define "tocsin.embedded" -}}
{{- if and (eq .Values.mode "onePod") (not .Values.database.existingSecret) }}true{{ end }}
{{- end }}

{{- define "tocsin.claim" -}}
{{- default (printf "%s-data" (include "tocsin.fullname" .)) .Values.persistence.existingClaim }}
{{- end }}

{{/* What URLs for senders outside of the cluster begin with; the first host of the Ingress or HTTPRoute where none is given. */}}
{{- define "tocsin.externalUrl" -}}
{{- if .Values.externalUrl -}}
{{ .Values.externalUrl | trimSuffix "/" }}
{{- else if and .Values.ingress.enabled .Values.ingress.hosts -}}
http{{ if .Values.ingress.tls }}s{{ end }}://{{ first .Values.ingress.hosts }}
{{- else if and .Values.httpRoute.enabled .Values.httpRoute.hostnames -}}
https://{{ first .Values.httpRoute.hostnames }}
{{- end -}}
{{- end }}

{{/* Where people and chat tools reach the console; the first host that leads there where none is given. */}}
{{- define "tocsin.consoleUrl" -}}
{{- if .Values.consoleUrl -}}
{{ .Values.consoleUrl | trimSuffix "/" }}
{{- else if and .Values.consoleIngress.enabled .Values.consoleIngress.hosts -}}
http{{ if .Values.consoleIngress.tls }}s{{ end }}://{{ first .Values.consoleIngress.hosts }}
{{- else if and .Values.chatIngress.enabled .Values.chatIngress.hosts -}}
http{{ if .Values.chatIngress.tls }}s{{ end }}://{{ first .Values.chatIngress.hosts }}
{{- else if and .Values.chatHttpRoute.enabled .Values.chatHttpRoute.hostnames -}}
https://{{ first .Values.chatHttpRoute.hostnames }}
{{- end -}}
{{- end }}

{{/* Whether the console speaks TLS itself: "true" or "". In one process it has the receiver's certificate. */}}
{{- define "tocsin.consoleTls" -}}
{{- if and (eq .Values.mode "onePod") .Values.receiving.tls.existingSecret }}true{{ end }}
{{- end }}

{{- define "tocsin.internalUrl" -}}
http{{ if .Values.receiving.tls.existingSecret }}s{{ end }}://{{ include "tocsin.fullname" . }}.{{ .Release.Namespace }}.svc:8080
{{- end }}

{{/* The paths that senders use; nothing else is open to them. */}}
{{- define "tocsin.ingestPaths" -}}
paths: ["/integrations/v1/", "/v1/namespaces/"]
{{- end }}

{{/* What chat tools send when somebody uses a button. */}}
{{- define "tocsin.chatPaths" -}}
paths: ["/chat/"]
{{- end }}
