{{/* What the schema cannot say: settings that contradict each other, in one sentence each. */}}
{{- define "outpost.validate" -}}
{{- include "outpost.validateTexts" . }}
{{- include "outpost.validateDatabase" . }}
{{- include "outpost.validateKeys" . }}
{{- include "outpost.validateSsh" . }}
{{- include "outpost.validateSshNode" . }}
{{- include "outpost.validateService" (dict "name" "service" "service" .Values.service) }}
{{- include "outpost.validateService" (dict "name" "servicessh" "service" .Values.servicessh) }}
{{- include "outpost.validateFlavors" (dict "name" "flavors" "rules" .Values.flavors) }}
{{- include "outpost.validateFlavors" (dict "name" "credits" "rules" .Values.credits) }}
{{- include "outpost.validateFiles" . }}
{{- end }}

{{/* The schema's own words about a pattern help nobody. */}}
{{- define "outpost.validateTexts" -}}
{{- if not (regexMatch "^(/[A-Za-z0-9._~-]+)*/?$" .Values.basePath) }}
{{- fail (printf "basePath: must be a path such as /outpost, not %q" .Values.basePath) }}
{{- end }}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?([KMGTPE]i?|k)?$" .Values.persistence.size) }}
{{- fail (printf "persistence.size: must be a size such as 1Gi, not %q" .Values.persistence.size) }}
{{- end }}
{{- if kindIs "map" .Values.image }}
{{- if not (regexMatch "^(sha256:[0-9a-f]{64})?$" (.Values.image.digest | default "")) }}
{{- fail (printf "image.digest: must be sha256: and 64 hexadecimal digits, not %q" .Values.image.digest) }}
{{- end }}
{{- end }}
{{- if not (regexMatch "^([0-9]+(ms|[smh]))+$" .Values.metrics.serviceMonitor.interval) }}
{{- fail (printf "metrics.serviceMonitor.interval: must be a time such as 30s, not %q" .Values.metrics.serviceMonitor.interval) }}
{{- end }}
{{- if lt (int .Values.terminationGracePeriodSeconds) 35 }}
{{- fail (printf "terminationGracePeriodSeconds: must be 35 or more, the time that Outpost takes to end in order, not %d" (int .Values.terminationGracePeriodSeconds)) }}
{{- end }}
{{- $unavailable := toString .Values.podDisruptionBudget.maxUnavailable }}
{{- if not (regexMatch "^([0-9]+|[1-9][0-9]?%|100%)$" $unavailable) }}
{{- fail (printf "podDisruptionBudget.maxUnavailable: must be a number of pods or a share such as 50%%, not %q" $unavailable) }}
{{- end }}
{{- end }}

{{- define "outpost.validateDatabase" -}}
{{- $database := include "outpost.database" . }}
{{- $inline := include "outpost.envValue" (dict "root" . "name" "SQL_TYPE") }}
{{- if not (has $database (list "sqlite" "postgresql" "unknown")) }}
{{- fail (printf "extraEnvVars.SQL_TYPE: must be sqlite or postgresql, not %q" $database) }}
{{- end }}
{{- if and .Values.database.type $inline (ne .Values.database.type $inline) }}
{{- fail (printf "database.type is %s, but extraEnvVars.SQL_TYPE is %s: they must be the same, or one of them left out" .Values.database.type $inline) }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (ne $database "postgresql") }}
{{- fail (printf "replicas: %d pods cannot share a SQLite database; use PostgreSQL (database.type: postgresql, and SQL_* in a Secret of extraEnvVarsSecrets), or 1" (int .Values.replicas)) }}
{{- end }}
{{- $elsewhere := concat .Values.extraEnvVarsCMs .Values.extraEnvVarsSecrets }}
{{- if and (eq $database "postgresql") (not $elsewhere) (not (include "outpost.hasEnv" (dict "root" . "name" "SQL_HOST"))) }}
{{- fail "database.type is postgresql, but nothing says where it is: set SQL_HOST, SQL_USER, SQL_PASSWORD and SQL_DATABASE in a Secret, and name it in extraEnvVarsSecrets" }}
{{- end }}
{{- end }}

{{- define "outpost.validateKeys" -}}
{{- range $index, $line := .Values.sshPublicKeys }}
{{- if contains "PRIVATE KEY" $line }}
{{- fail (printf "sshPublicKeys: entry %d is a private key, which is known to others now; make a new pair, and put the text of its .pub file here" (add1 $index)) }}
{{- end }}
{{- if or (contains "\n" (trim $line)) (not (regexMatch "(^|[ \t])(ssh|ecdsa|sk)-[A-Za-z0-9@.-]+[ \t]+AAAA[A-Za-z0-9+/=]+([ \t].*)?$" (trim $line))) }}
{{- fail (printf "sshPublicKeys: entry %d is no public key; it must be one line, [OPTIONS] TYPE BASE64 [COMMENT], as in a .pub file" (add1 $index)) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "outpost.validateSsh" -}}
{{- $service := .Values.servicessh }}
{{- if not .Values.sshPublicKeys }}
{{- if .Values.sshNode.separate }}
{{- fail "sshNode.separate: an SSH node without sshPublicKeys lets nobody in; put the public key of each hub there" }}
{{- end }}
{{- if or (eq (toString $service.enabled) "true") (ne $service.type "ClusterIP") $service.ports.nodePort $service.loadBalancerIP }}
{{- fail "servicessh: an SSH node without sshPublicKeys lets nobody in; put the public key of each hub there, or leave servicessh out" }}
{{- end }}
{{- end }}
{{- if and .Values.sshPublicKeys .Values.sshNode.separate (eq (toString $service.enabled) "false") }}
{{- fail "servicessh.enabled: a separate SSH node is reached through this Service, by Outpost's pods too; leave it out, or set sshNode.separate: false" }}
{{- end }}
{{- if and (include "outpost.sshInside" .) (gt (int .Values.replicas) 1) }}
{{- fail (printf "replicas: with %d pods that are SSH nodes too, a tunnel could end at any of them; set sshNode.separate: true, or replicas: 1" (int .Values.replicas)) }}
{{- end }}
{{- end }}

{{- define "outpost.validateSshNode" -}}
{{- if .Values.sshPublicKeys }}
{{- $own := .Values.securityContext | default dict }}
{{- $user := hasKey $own "runAsUser" | ternary $own.runAsUser (get (.Values.podSecurityContext | default dict) "runAsUser") }}
{{- if ne (int $user) 1000 }}
{{- fail "podSecurityContext.runAsUser, securityContext.runAsUser: with sshPublicKeys it must be 1000, since sshd lets in only the user that it runs as, which is jhuboutpost; leave both as they are, on OpenShift too, where the pods then need an SCC such as nonroot-v2" }}
{{- end }}
{{- end }}
{{- range .Values.sshNode.permitOpen }}
{{- if not (regexMatch "^([^\\s:]+|\\[[0-9A-Fa-f:.]+\\]):([0-9]+|\\*)$" .) }}
{{- fail (printf "sshNode.permitOpen: must be HOST:PORT such as *:8888, not %q" .) }}
{{- end }}
{{- end }}
{{- if .Values.sshNode.separate }}
{{- range include "outpost.extraEnv" . | fromYamlArray }}
{{- if hasPrefix "OUTPOST_SSH_" .name }}
{{- fail (printf "extraEnvVars.%s: is for the API's pods, and the separate SSH node would not see it; leave it out (sshNode has permitOpen and hostKeysSecret), or set sshNode.separate: false" .name) }}
{{- end }}
{{- end }}
{{- else if .Values.networkPolicy.sshEgress }}
{{- fail "networkPolicy.sshEgress: is for a separate SSH node; with one container networkPolicy.egress is for both, or set sshNode.separate: true" }}
{{- end }}
{{- end }}

{{- define "outpost.validateService" -}}
{{- $service := .service }}
{{- if and $service.externalTrafficPolicy (eq $service.type "ClusterIP") }}
{{- fail (printf "%s.externalTrafficPolicy: a Service of type ClusterIP has none; set %s.type: NodePort, or LoadBalancer" .name .name) }}
{{- end }}
{{- if and $service.ports.nodePort (eq $service.type "ClusterIP") }}
{{- fail (printf "%s.ports.nodePort: a Service of type ClusterIP has none; set %s.type: NodePort, or LoadBalancer" .name .name) }}
{{- end }}
{{- if and $service.loadBalancerIP (ne $service.type "LoadBalancer") }}
{{- fail (printf "%s.loadBalancerIP: is of a Service of type LoadBalancer, not %s; set %s.type: LoadBalancer" .name $service.type .name) }}
{{- end }}
{{- end }}

{{- define "outpost.validateFlavors" -}}
{{- if and (not (index .rules .name)) (or .rules.hubs .rules.users) }}
{{- fail (printf "%s.hubs, %s.users: there is nothing to choose from, since %s.%s is empty" .name .name .name .name) }}
{{- end }}
{{- end }}

{{- define "outpost.validateFiles" -}}
{{- $root := . }}
{{- range $value, $file := dict "prometheusRule" "files/alerts.yaml" "dashboard" "files/dashboard.json" }}
{{- if and (get $root.Values.metrics $value).enabled (not ($root.Files.Get $file)) }}
{{- fail (printf "metrics.%s.enabled: this chart has no %s" $value $file) }}
{{- end }}
{{- end }}
{{- end }}
