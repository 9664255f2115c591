{{- define "moonx.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end -}}
{{- end }}

{{- define "moonx.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Labels that never change: of a (dict "root" $ "component" "worker"). */}}
{{- define "moonx.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "moonx.labels" -}}
{{ include "moonx.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: moonx
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* What a pod is whatever it runs: not root, without a token of the cluster, spread over hosts and zones. */}}
{{- define "moonx.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1001
  runAsGroup: 1001
  fsGroup: 1001
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{- include "moonx.selector" . | nindent 14 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "moonx.selector" . | nindent 8 }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 256Mi}
{{- end }}

{{/*
What a container is whatever it runs; its environment begins here, and the caller may go on with it. Of the Secret it
has what its part reads (secrets.yaml), and its own role's password in the database.
*/}}
{{- define "moonx.container" -}}
image: {{ include "moonx.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - name: tmp
    mountPath: /tmp
env:
  - {name: MOONX_HOME, value: /tmp/moonx}
  - {name: GATEWAY_HOST, value: 0.0.0.0}
  - {name: GATEWAY_PORT, value: "3007"}
  - {name: GATEWAY_METRICS_PORT, value: "3001"}
  - {name: METRICS_HOST, value: 0.0.0.0}
  - {name: METRICS_PORT, value: "3001"}
  - {name: RELAY_METRICS_PORT, value: "3001"}
{{- $ownRole := and .root.Values.databaseRoles (ne .component "migrate") }}
{{- if $ownRole }}
  - {name: DB_USER, value: {{ get .root.Values.databaseUsers .component }}}
{{- end }}
{{- $secret := get .root.Values.partSecrets .component | default .root.Values.existingSecret }}
{{- range $name := get (.root.Files.Get "secrets.yaml" | fromYaml) .component }}
  - name: {{ $name }}
{{- if and $ownRole (eq $name "DB_PASSWORD") }}
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: DB_{{ upper $.component }}_PASSWORD}}
{{- else }}
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $name }}, optional: true}}
{{- end }}
{{- end }}
{{- end }}

{{- define "moonx.environment" -}}
envFrom:
  - configMapRef: {name: {{ include "moonx.name" .root }}-settings}
{{- end }}

{{/* A change of the settings is a new pod; that of the Secret is the operator's to roll out. */}}
{{- define "moonx.annotations" -}}
checksum/settings: {{ toJson .root.Values.settings | sha256sum }}
{{- end }}

{{- define "moonx.probes" -}}
startupProbe:
  httpGet: {path: /health/live, port: {{ .port }}}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health/live, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /health/ready, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end }}

{{- define "moonx.strategy" -}}
type: RollingUpdate
rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
{{- end }}
