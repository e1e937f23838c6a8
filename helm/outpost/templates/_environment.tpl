{{/* extraEnvVars as a list of containers' env, whether it is a map or a list. */}}
{{- define "outpost.extraEnv" -}}
{{- $list := list }}
{{- if kindIs "map" .Values.extraEnvVars }}
{{- range $name, $value := .Values.extraEnvVars }}
{{- if kindIs "map" $value }}
{{- $list = append $list (merge (dict "name" $name) $value) }}
{{- else }}
{{- $list = append $list (dict "name" $name "value" (include "outpost.text" $value)) }}
{{- end }}
{{- end }}
{{- else }}
{{- range .Values.extraEnvVars }}
{{- $list = append $list (hasKey . "value" | ternary (set (deepCopy .) "value" (include "outpost.text" .value)) .) }}
{{- end }}
{{- end }}
{{- toYaml $list }}
{{- end }}

{{/* A scalar as text: 10000000 is no 1e+07. */}}
{{- define "outpost.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else if not (kindIs "invalid" .) }}{{ toJson . }}{{ end }}
{{- end }}

{{/* The value of a variable in extraEnvVars, when it stands there. The argument: dict "root" $ "name" NAME. */}}
{{- define "outpost.envValue" -}}
{{- $name := .name }}
{{- range include "outpost.extraEnv" .root | fromYamlArray }}
{{- if eq .name $name }}{{ .value | default "" }}{{ end }}
{{- end }}
{{- end }}

{{- define "outpost.hasEnv" -}}
{{- $name := .name }}
{{- range include "outpost.extraEnv" .root | fromYamlArray }}
{{- if eq .name $name }}true{{ end }}
{{- end }}
{{- end }}

{{/* sqlite, postgresql, or unknown: what a Secret says that Helm cannot see. */}}
{{- define "outpost.database" -}}
{{- $elsewhere := concat .Values.extraEnvVarsCMs .Values.extraEnvVarsSecrets }}
{{- $inline := include "outpost.envValue" (dict "root" . "name" "SQL_TYPE") }}
{{- $seen := include "outpost.seenDatabase" . }}
{{- if or .Values.database.type $inline $seen }}
{{- .Values.database.type | default $inline | default $seen }}
{{- else if not $elsewhere }}
{{- "sqlite" }}
{{- else if gt (int .Values.replicas) 1 }}
{{- "postgresql" }}
{{- else }}
{{- "unknown" }}
{{- end }}
{{- end }}

{{/* SQL_TYPE of ConfigMaps and Secrets that are there already. */}}
{{- define "outpost.seenDatabase" -}}
{{- $root := . }}
{{- $seen := "" }}
{{- range .Values.extraEnvVarsCMs }}
{{- $data := (lookup "v1" "ConfigMap" $root.Release.Namespace .).data | default dict }}
{{- $seen = get $data "SQL_TYPE" | default $seen }}
{{- end }}
{{- range .Values.extraEnvVarsSecrets }}
{{- $data := (lookup "v1" "Secret" $root.Release.Namespace .).data | default dict }}
{{- $seen = get $data "SQL_TYPE" | b64dec | default $seen }}
{{- end }}
{{- $seen }}
{{- end }}

{{/* What the chart says first, and every source of the operator's may say otherwise. */}}
{{- define "outpost.defaults" -}}
{{- $database := include "outpost.database" . }}
{{- if .Values.outpostConfig }}
OUTPOST_CONFIG_FILE: /etc/outpost/config/outpost_config.py
{{- end }}
{{- with include "outpost.basePath" . }}
OUTPOST_BASE_PATH: {{ . | quote }}
{{- end }}
{{- if ne $database "postgresql" }}
SQL_DATABASE_URL: /var/lib/outpost/sqlite.db
{{- end }}
{{- if ne $database "unknown" }}
SQL_TYPE: {{ $database }}
{{- end }}
{{- if include "outpost.sshInside" . }}
OUTPOST_SSH_AUTHORIZED_KEYS: /etc/outpost/ssh/authorized_keys
{{- if include "outpost.sshService" . }}
# A hub that is asked for its tunnels before it can reach the node gives its servers up.
OUTPOST_SSH_NODE_SERVICE: {{ include "outpost.sshAddress" . }}
{{- end }}
{{- with .Values.sshNode.permitOpen }}
OUTPOST_SSH_PERMIT_OPEN: {{ join " " . | quote }}
{{- end }}
{{- else if include "outpost.ssh" . }}
# The SSH node calls when it has restarted; hubs hear of it at the next look.
OUTPOST_TUNNELS_SLEEP_TIMER: "5"
{{- end }}
{{- end }}

{{/* envFrom of the operator's sources. */}}
{{- define "outpost.sources" -}}
{{- range .Values.extraEnvVarsCMs }}
- configMapRef: {name: {{ . | quote }}}
{{- end }}
{{- range .Values.extraEnvVarsSecrets }}
- secretRef: {name: {{ . | quote }}}
{{- end }}
{{- end }}

{{/* env of everything that reads the database. */}}
{{- define "outpost.databaseEnv" -}}
{{- if not (include "outpost.hasEnv" (dict "root" . "name" "OUTPOST_CRYPT_KEY")) }}
- name: OUTPOST_CRYPT_KEY
  valueFrom:
    secretKeyRef: {name: {{ include "outpost.cryptSecret" . | quote }}, key: secret_key}
{{- end }}
{{- if and (eq (include "outpost.database" .) "postgresql") (not (include "outpost.hasEnv" (dict "root" . "name" "SQL_TYPE"))) }}
- name: SQL_TYPE
  value: postgresql
{{- end }}
{{- with include "outpost.extraEnv" . | fromYamlArray }}
{{ toYaml . }}
{{- end }}
{{- end }}
