{{/* What the operator may do with the objects of the namespaces that it serves. */}}
{{- define "tocsin.rules" -}}
- apiGroups: [tocsin.dev]
  resources: {{ include "tocsin.kinds" . }}
  verbs: [get, list, watch]
- apiGroups: [tocsin.dev]
  resources: {{ include "tocsin.statuses" . }}
  verbs: [patch]
# Endpoint Secrets are created and kept; those with the label tocsin.dev/watch=true are watched. RBAC knows no labels.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
# Their labels, for `sharing` by selector.
- apiGroups: [""]
  resources: [namespaces]
  verbs: {{ ternary (list "get" "list" "watch") (list "get") .Values.scope.cluster | toJson }}
{{- end }}

{{- define "tocsin.kinds" -}}
[alertroutes, alerttemplates, escalationchains, integrations, labelrules, maintenancewindows, notificationchannels, oncallschedules, outgoingwebhooks, responders]
{{- end }}

{{- define "tocsin.statuses" -}}
[alertroutes/status, alerttemplates/status, escalationchains/status, integrations/status, labelrules/status, maintenancewindows/status, notificationchannels/status, oncallschedules/status, outgoingwebhooks/status, responders/status]
{{- end }}

{{- define "tocsin.operatorSubject" -}}
- kind: ServiceAccount
  name: {{ include "tocsin.operatorAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
