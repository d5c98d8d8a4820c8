{{/* The pod of a role: (list $ "receiver"). Restricted Pod Security, no API token unless it is the operator's. */}}

{{- define "tocsin.pod" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $own := index $root.Values $role -}}
{{- $asks := has $role (list "onePod" "operator") -}}
metadata:
  labels:
    {{- $labels := merge (include "tocsin.labels" $root | fromYaml) (dict "app.kubernetes.io/component" (include "tocsin.component" .)) }}
    {{- toYaml (merge $labels $own.podLabels) | nindent 4 }}
  {{- with $own.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "tocsin.roleName" . }}
  automountServiceAccountToken: {{ $asks }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: 45
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $own.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: tocsin
      image: {{ include "tocsin.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: {{ ternary (list "run" "--kubernetes") (list $role) (eq $role "onePod") | toJson }}
      env:
        {{- include "tocsin.env" . | nindent 8 }}
      ports:
        {{- include "tocsin.ports" . | nindent 8 }}
      startupProbe:
        httpGet: {path: /healthz, port: health}
        periodSeconds: 2
        failureThreshold: 90
      livenessProbe:
        httpGet: {path: /healthz, port: health}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: health}
        periodSeconds: 3
        timeoutSeconds: 3
        failureThreshold: 2
      {{- if has $role (list "onePod" "receiver" "console") }}
      # Endpoints are taken out of load balancers meanwhile; what is sent until then is still taken.
      lifecycle:
        preStop:
          sleep: {seconds: 5}
      {{- end }}
      {{- with $own.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        {{- include "tocsin.mounts" . | nindent 8 }}
  volumes:
    {{- include "tocsin.volumes" . | nindent 4 }}
  {{- with $own.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if ne $role "onePod" }}
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "tocsin.selectorLabels" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $role }}
    {{- end }}
  {{- end }}
{{- end }}

{{- define "tocsin.ports" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $all := eq $role "onePod" -}}
{{- if or $all (eq $role "receiver") -}}
- {name: ingest, containerPort: 8080}
{{ end }}
{{- if or $all (eq $role "console") -}}
- {name: console, containerPort: 8081}
{{ end }}
{{- if and $root.Values.admission.enabled (or $all (eq $role "operator")) -}}
- {name: admission, containerPort: 9443}
{{ end -}}
- {name: health, containerPort: 8082}
{{- end }}

{{- define "tocsin.mounts" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $all := eq $role "onePod" -}}
- {name: tmp, mountPath: /tmp}
{{- if include "tocsin.embedded" $root }}
- {name: data, mountPath: /var/lib/tocsin}
{{- end }}
{{- if and $root.Values.receiving.tls.existingSecret (or $all (eq $role "receiver")) }}
- {name: tls, mountPath: /etc/tocsin/tls, readOnly: true}
{{- end }}
{{- if and $root.Values.api.tokens.existingSecret (or $all (eq $role "console")) }}
- {name: api-tokens, mountPath: /etc/tocsin/api, readOnly: true}
{{- end }}
{{- if and $root.Values.admission.enabled (include "tocsin.certificateGiven" $root) (or $all (eq $role "operator")) }}
- {name: admission, mountPath: /etc/tocsin/admission, readOnly: true}
{{- end }}
{{- with (index $root.Values $role).extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tocsin.volumes" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $all := eq $role "onePod" -}}
- name: tmp
  emptyDir: {}
{{- if include "tocsin.embedded" $root }}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "tocsin.claim" $root }}
{{- end }}
{{- if and $root.Values.receiving.tls.existingSecret (or $all (eq $role "receiver")) }}
- name: tls
  secret:
    secretName: {{ $root.Values.receiving.tls.existingSecret }}
{{- end }}
{{- if and $root.Values.api.tokens.existingSecret (or $all (eq $role "console")) }}
- name: api-tokens
  secret:
    secretName: {{ $root.Values.api.tokens.existingSecret }}
{{- end }}
{{- if and $root.Values.admission.enabled (include "tocsin.certificateGiven" $root) (or $all (eq $role "operator")) }}
- name: admission
  secret:
    secretName: {{ include "tocsin.certificateSecret" $root }}
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
    # Alerts need not wait for whoever makes it.
    optional: true
{{- end }}
{{- with (index $root.Values $role).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
