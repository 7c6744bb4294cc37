{{- define "tsgo.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tsgo.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{- $name := include "tsgo.name" . -}}
{{ ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "tsgo.selector" -}}
app.kubernetes.io/name: {{ include "tsgo.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tsgo.labels" -}}
{{ include "tsgo.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "tsgo.serviceAccount" -}}
{{ ternary (default (include "tsgo.fullname" .) .Values.serviceAccount.name) (default "default" .Values.serviceAccount.name) .Values.serviceAccount.create }}
{{- end }}

{{- define "tsgo.claim" -}}
{{ default (include "tsgo.fullname" .) .Values.models.persistence.existingClaim }}
{{- end }}

{{- /* How a path is asked: a list of the values and the path. A kubelet has no certificate to show: then it is enough that the
port is open. */ -}}
{{- define "tsgo.probe" -}}
{{- $tls := (first .).Values.tls -}}
{{- if $tls.clientCA -}}
tcpSocket:
  port: inference
{{- else -}}
httpGet:
  path: {{ last . }}
  port: inference
  scheme: {{ ternary "HTTPS" "HTTP" (ne $tls.secretName "") }}
{{- end -}}
{{- end }}
