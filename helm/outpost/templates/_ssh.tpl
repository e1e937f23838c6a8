{{/* authorized_keys: every key may forward ports, and nothing else. */}}
{{- define "outpost.authorizedKeys" -}}
{{- $command := "command=\"/bin/echo 'Connection allowed for port forwarding only'\"" }}
{{- range .Values.sshPublicKeys }}
{{- $line := trim . }}
{{- $key := regexFind "(ssh|ecdsa|sk)-[A-Za-z0-9@.-]+[ \t]+AAAA[A-Za-z0-9+/=]+([ \t].*)?$" $line }}
{{- $options := trimSuffix $key $line | trim }}
{{- $all := list }}
{{- if not (regexMatch "(^|,)restrict(,|$)" $options) }}
{{- $all = list "restrict" "port-forwarding" }}
{{- end }}
{{- with $options }}
{{- $all = append $all . }}
{{- end }}
{{- if not (or (has "port-forwarding" $all) (regexMatch "(^|,)port-forwarding(,|$)" $options)) }}
{{- $all = append $all "port-forwarding" }}
{{- end }}
{{- if not (contains "command=" $options) }}
{{- $all = append $all $command }}
{{- end }}
{{ join "," $all }} {{ $key }}
{{- end }}
{{- end }}

{{/* "true" when the chart makes the SSH node's Service. */}}
{{- define "outpost.sshService" -}}
{{- if and (include "outpost.ssh" .) (ne (toString .Values.servicessh.enabled) "false") }}true{{ end }}
{{- end }}

{{/* Where pods of this release reach the SSH node. */}}
{{- define "outpost.sshAddress" -}}
{{ include "outpost.fullname" . }}-ssh.{{ .Release.Namespace }}.svc:{{ .Values.servicessh.port }}
{{- end }}

{{- define "outpost.sshVolumes" -}}
- name: authorized-keys
  configMap: {name: {{ include "outpost.fullname" . }}-auth}
- name: ssh-host-keys
  secret: {secretName: {{ include "outpost.hostKeysSecret" . | quote }}, defaultMode: 0400}
{{- end }}

{{- define "outpost.sshMounts" -}}
- {name: authorized-keys, mountPath: /etc/outpost/ssh, readOnly: true}
- {name: ssh-host-keys, mountPath: /etc/outpost/ssh-host-keys, readOnly: true}
{{- end }}
