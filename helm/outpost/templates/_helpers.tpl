{{- define "outpost.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "outpost.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else }}
{{- $name := include "outpost.name" . }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- $full | trunc 45 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Labels of an object. The argument: dict "root" $ "part" "", "ssh" or "migrate". */}}
{{- define "outpost.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{ include "outpost.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/* Parts have names of their own, so that no Deployment and no Service takes another part's pods for its own. */}}
{{- define "outpost.selector" -}}
app.kubernetes.io/name: {{ include "outpost.name" .root }}{{ with .part }}-{{ . }}{{ end }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "outpost.image" -}}
{{- if kindIs "string" .Values.image -}}
{{ .Values.image }}
{{- else -}}
{{- $image := .Values.image | default dict -}}
{{ $image.repository | default "outpost" }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{- define "outpost.pullPolicy" -}}
{{- if kindIs "map" .Values.image }}{{ .Values.image.pullPolicy | default "IfNotPresent" }}{{ else }}IfNotPresent{{ end }}
{{- end }}

{{- define "outpost.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ kindIs "string" . | ternary . (get (kindIs "map" . | ternary . dict) "name") }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "outpost.serviceAccount" -}}
{{- default (.Values.serviceAccount.create | ternary (include "outpost.fullname" .) "default") .Values.serviceAccount.name }}
{{- end }}

{{/* Names of Secrets: the operator's, or those that the chart makes. */}}
{{- define "outpost.cryptSecret" -}}
{{- .Values.cryptSecret | default (printf "%s-crypt" (include "outpost.fullname" .)) }}
{{- end }}
{{- define "outpost.hostKeysSecret" -}}
{{- .Values.sshNode.hostKeysSecret | default (printf "%s-ssh-host-keys" (include "outpost.fullname" .)) }}
{{- end }}

{{/* "true", or nothing. */}}
{{- define "outpost.makesCryptSecret" -}}
{{- if not (or .Values.cryptSecret (include "outpost.hasEnv" (dict "root" . "name" "OUTPOST_CRYPT_KEY"))) }}true{{ end }}
{{- end }}
{{- define "outpost.makesUsers" -}}
{{- if not (or .Values.outpostUsers (include "outpost.hasEnv" (dict "root" . "name" "usernames"))) }}true{{ end }}
{{- end }}
{{- define "outpost.ssh" -}}
{{- if .Values.sshPublicKeys }}true{{ end }}
{{- end }}
{{- define "outpost.sshSeparate" -}}
{{- if and .Values.sshPublicKeys .Values.sshNode.separate }}true{{ end }}
{{- end }}
{{- define "outpost.sshInside" -}}
{{- if and .Values.sshPublicKeys (not .Values.sshNode.separate) }}true{{ end }}
{{- end }}

{{/* Where Outpost is: "" or /PATH. */}}
{{- define "outpost.basePath" -}}
{{- .Values.basePath | default (include "outpost.envValue" (dict "root" . "name" "OUTPOST_BASE_PATH")) | trimSuffix "/" }}
{{- end }}

{{/* One at a time where two pods would share a SQLite database, or a tunnel could be set up to a pod that is about to go. */}}
{{- define "outpost.strategy" -}}
{{- if include "outpost.rolling" . -}}
type: RollingUpdate
rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
{{- else -}}
type: Recreate
{{- end }}
{{- end }}
{{- define "outpost.rolling" -}}
{{- if and (eq (include "outpost.database" .) "postgresql") (not (include "outpost.sshInside" .)) }}true{{ end }}
{{- end }}

{{/* Another text once one of these Secrets and ConfigMaps has changed; it says nothing of what is in them.
The argument: dict "root" $ "secrets" NAMES "configMaps" NAMES. */}}
{{- define "outpost.versions" -}}
{{- $namespace := .root.Release.Namespace }}
{{- range $kind, $names := dict "Secret" .secrets "ConfigMap" .configMaps }}
{{- range compact $names }}
{{- $name := . }}
{{- with lookup "v1" $kind $namespace $name }}
{{- $kind }} {{ $name }} {{ .metadata.resourceVersion }}
{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Another text once one of these Secrets, which the chart makes, is another one. It needs nothing of what is in them, so the
rendering that makes them says what the next one says. The argument: dict "root" $ "made" (dict PART-OF-NAME WHETHER-IT-IS-MADE ...). */}}
{{- define "outpost.marks" -}}
{{- $root := .root }}
{{- range $name, $is := .made }}
{{- if $is }}
{{- $name }} {{ include "outpost.mark" (dict "root" $root "name" (printf "%s-%s" (include "outpost.fullname" $root) $name)) }}
{{ end }}
{{- end }}
{{- end }}

{{/* When a Secret of the chart was made: the release's revision; or its uid, when somebody else has put other data there. */}}
{{- define "outpost.mark" -}}
{{- with lookup "v1" "Secret" .root.Release.Namespace .name }}
{{- $made := get (.metadata.annotations | default dict) "outpost/made" | splitList " " }}
{{- has (toJson .data | sha256sum) $made | ternary (first $made) .metadata.uid }}
{{- else }}
{{- .root.Release.Revision }}
{{- end }}
{{- end }}

{{/* The annotation that keeps the mark of a Secret, with a checksum of what is in it. One that is there stays as it is: it may
be a field of somebody else. The argument: dict "root" $ "name" NAME "data" DATA. */}}
{{- define "outpost.madeNote" -}}
{{- $there := lookup "v1" "Secret" .root.Release.Namespace .name | default dict }}
{{- with dig "metadata" "annotations" "outpost/made" "" $there }}{{ . }}{{ else }}{{ include "outpost.mark" . }} {{ toJson .data | sha256sum }}{{ end }}
{{- end }}

{{/* Of a Secret that the chart makes: what it has in the cluster, as YAML, or nothing. */}}
{{- define "outpost.kept" -}}
{{- with lookup "v1" "Secret" .root.Release.Namespace .name }}
{{- with .data }}
{{- toYaml . }}
{{- end }}
{{- end }}
{{- end }}
