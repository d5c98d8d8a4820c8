{{/* What a role is told, as environment variables: (list $ "receiver"). One helper per group of settings. */}}

{{- define "tocsin.env" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $all := eq $role "onePod" -}}
- name: TOCSIN_HEALTH_LISTEN
  value: ":8082"
- name: TOCSIN_LOG_FORMAT
  value: {{ $root.Values.log.format }}
- name: TOCSIN_LOG_LEVEL
  value: {{ $root.Values.log.level }}
{{- if or $all (eq $role "receiver") }}
{{ include "tocsin.env.receiver" $root }}
{{- end }}
{{- if ne $role "operator" }}
{{- include "tocsin.env.outgoing" $root }}
{{- end }}
{{- if or $all (has $role (list "dispatcher" "console")) }}
{{- include "tocsin.env.proxy" $root }}
{{- end }}
{{- if or $all (eq $role "dispatcher") }}
{{- include "tocsin.env.sending" $root }}
{{- end }}
{{- if or $all (eq $role "console") }}
{{ include "tocsin.env.console" $root }}
{{- end }}
{{- if eq $role "console" }}
{{- with $root.Values.receiving.email.domain }}
- name: TOCSIN_EMAIL_DOMAIN
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- if or $all (eq $role "operator") }}
{{ include "tocsin.env.operator" $root }}
{{- include "tocsin.env.admission" $root }}
{{- end }}
{{ include "tocsin.env.store" $root }}
- name: TOCSIN_SECRET_KEY
  valueFrom:
    secretKeyRef:
      name: {{ include "tocsin.keysSecret" $root }}
      key: {{ include "tocsin.keysEntry" $root }}
      {{- if and (has $role (list "onePod" "operator")) (not $root.Values.keys.existingSecret) }}
      # Who makes the Secret starts before it is there; everybody else waits for it.
      optional: true
      {{- end }}
{{- if and (has $role (list "onePod" "operator")) (not $root.Values.keys.existingSecret) }}
- name: TOCSIN_KEYS_SECRET
  value: {{ include "tocsin.keysSecret" $root }}
{{- end }}
{{- with $root.Values.metrics.bearer.existingSecret }}
- name: TOCSIN_METRICS_BEARER
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $root.Values.metrics.bearer.key }}
{{- end }}
{{- with (index $root.Values $role).extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Database and the keys that encrypt credentials in it. */}}
{{- define "tocsin.env.store" -}}
- name: TOCSIN_DATABASE
{{- if include "tocsin.embedded" . }}
  value: sqlite:////var/lib/tocsin/tocsin.db
{{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.existingSecret }}
      key: {{ .Values.database.key }}
{{- end }}
{{- end }}

{{- define "tocsin.env.receiver" -}}
- name: TOCSIN_LISTEN
  value: ":8080"
- name: TOCSIN_BODY_LIMIT
  value: {{ .Values.receiving.bodyLimitMiB | quote }}
{{- if .Values.log.access }}
- name: TOCSIN_ACCESS_LOG
  value: "true"
{{- end }}
{{- if .Values.receiving.tls.existingSecret }}
- name: TOCSIN_TLS_CERTIFICATE
  value: /etc/tocsin/tls/tls.crt
- name: TOCSIN_TLS_KEY
  value: /etc/tocsin/tls/tls.key
{{- if .Values.receiving.tls.clientCa }}
- name: TOCSIN_TLS_CLIENT_CA
  value: /etc/tocsin/tls/{{ .Values.receiving.tls.clientCa }}
{{- end }}
{{- end }}
{{- with .Values.receiving.email }}
{{- if .providers }}
- name: TOCSIN_EMAIL_PROVIDER
  value: {{ join " " .providers }}
- name: TOCSIN_EMAIL_DOMAIN
  value: {{ .domain | quote }}
{{- if .existingSecret }}
- name: TOCSIN_EMAIL_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .key }}
{{- end }}
{{- with .sesTopic }}
- name: TOCSIN_EMAIL_SES_TOPIC
  value: {{ . | quote }}
{{- end }}
{{- with .url }}
- name: TOCSIN_EMAIL_URL
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "tocsin.env.outgoing" -}}
{{- with .Values.outgoing.allow }}
- name: TOCSIN_ALLOW_OUTGOING
  value: {{ join " " . }}
{{- end }}
{{- end }}

{{- define "tocsin.env.proxy" -}}
{{- $proxy := .Values.outgoing.proxy }}
{{- if $proxy.existingSecret }}
- name: TOCSIN_OUTGOING_PROXY
  valueFrom:
    secretKeyRef:
      name: {{ $proxy.existingSecret }}
      key: {{ $proxy.key }}
{{- else if $proxy.url }}
- name: TOCSIN_OUTGOING_PROXY
  value: {{ $proxy.url }}
{{- end }}
{{- with $proxy.except }}
- name: TOCSIN_OUTGOING_NO_PROXY
  value: {{ join " " . }}
{{- end }}
{{- end }}

{{/* Beside it: what links in messages begin with, and what needs to be enabled. */}}
{{- define "tocsin.env.sending" -}}
{{- if .Values.outgoing.apprise }}
- name: TOCSIN_APPRISE
  value: "true"
{{- end }}
{{- with include "tocsin.consoleUrl" . }}
- name: TOCSIN_CONSOLE_URL
  value: {{ . }}
{{- end }}
{{- with .Values.watchdog.existingSecret }}
- name: TOCSIN_WATCHDOG_URL
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.watchdog.key }}
{{- end }}
{{- end }}

{{- define "tocsin.env.console" -}}
- name: TOCSIN_CONSOLE_LISTEN
  value: ":8081"
{{- if .Values.api.tokens.existingSecret }}
- name: TOCSIN_API_TOKENS
  value: /etc/tocsin/api/{{ .Values.api.tokens.key }}
{{- end }}
{{- end }}

{{- define "tocsin.env.operator" -}}
{{- $scope := include "tocsin.namespaces" . | fromYaml -}}
{{- with $scope.namespaces -}}
- name: TOCSIN_NAMESPACE
  value: {{ join " " . }}
{{- else -}}
- name: TOCSIN_ALL_NAMESPACES
  value: "true"
{{- end }}
{{- with .Values.scope.class }}
- name: TOCSIN_CLASS
  value: {{ . | quote }}
{{- end }}
- name: TOCSIN_LEASE_NAME
  value: {{ include "tocsin.fullname" . }}
{{- if include "tocsin.embedded" . }}
# One process per database: after a crash the next one has the same name, so it need not wait for the Lease to lapse.
- name: POD_NAME
  value: {{ include "tocsin.fullname" . }}
{{- end }}
- name: TOCSIN_INTERNAL_URL
  value: {{ include "tocsin.internalUrl" . }}
{{- with include "tocsin.externalUrl" . }}
- name: TOCSIN_EXTERNAL_URL
  value: {{ . }}
{{- end }}
{{- end }}

{{/* By which certificate the API server is answered, and who makes it trusted. */}}
{{- define "tocsin.env.admission" -}}
{{- if .Values.admission.enabled }}
- name: TOCSIN_ADMISSION_LISTEN
  value: ":9443"
{{- if include "tocsin.certificateGiven" . }}
- name: TOCSIN_ADMISSION_CERTIFICATE
  value: /etc/tocsin/admission/tls.crt
- name: TOCSIN_ADMISSION_KEY
  value: /etc/tocsin/admission/tls.key
{{- else }}
- name: TOCSIN_ADMISSION_SECRET
  value: {{ include "tocsin.certificateSecret" . }}
- name: TOCSIN_ADMISSION_HOST
  value: {{ include "tocsin.admissionHost" . }} {{ include "tocsin.admissionHost" . }}.cluster.local
{{- if eq (include "tocsin.trustBy" .) "operator" }}
- name: TOCSIN_ADMISSION_WEBHOOK
  value: {{ include "tocsin.clusterName" . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
