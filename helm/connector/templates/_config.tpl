{{/* One of the connector's settings with its default. Called with root, group and name. */}}
{{- define "connector.setting" -}}
{{- $defaults := .root.Files.Get "files/settings.yaml" | fromYaml }}
{{- get (mergeOverwrite (get $defaults.defaults .group) (get .root.Values.config .group | default dict)) .name }}
{{- end }}

{{/* Seconds after SIGTERM in which the ingress has ended: its own drain, and room for a slow machine. */}}
{{- define "connector.ingressGraceS" -}}
{{- $delay := include "connector.setting" (dict "root" . "group" "ingress" "name" "drain_delay_s") | float64 }}
{{- $drain := include "connector.setting" (dict "root" . "group" "ingress" "name" "drain_timeout_s") | float64 }}
{{- addf $delay $drain 15 | ceil | int }}
{{- end }}

{{/* The same of a worker: the transaction in flight ends or is aborted, the rest is settled and let go. */}}
{{- define "connector.workerGraceS" -}}
{{- $transaction := include "connector.setting" (dict "root" . "group" "worker" "name" "transaction_timeout_ms") | float64 }}
{{- $settle := include "connector.setting" (dict "root" . "group" "worker" "name" "settle_timeout_s") | float64 }}
{{- addf (divf $transaction 1000) $settle 25 | ceil | int }}
{{- end }}

{{/* Longest time from the first byte of a request to the end of its answer. */}}
{{- define "connector.requestS" -}}
{{- $sum := 0.0 }}
{{- range list "head_timeout_s" "body_timeout_s" "request_timeout_s" }}
{{- $sum = addf $sum (include "connector.setting" (dict "root" $ "group" "ingress" "name" .) | float64) }}
{{- end }}
{{- ceil $sum | int }}
{{- end }}

{{- define "connector.partitions" -}}
{{- include "connector.setting" (dict "root" . "group" "topics" "name" "partitions") | float64 | int }}
{{- end }}

{{- define "connector.prefix" -}}
{{- include "connector.setting" (dict "root" . "group" "topics" "name" "prefix") }}
{{- end }}

{{- define "connector.group" -}}
{{- with .Values.config.worker.group }}{{ . }}{{ else }}{{ include "connector.prefix" . }}-worker{{ end }}
{{- end }}

{{/* Secret and user name of a role in Kafka, as YAML. Called with root and role. */}}
{{- define "connector.principal" -}}
{{- $kafka := .root.Values.kafka }}
{{- $own := get $kafka.principals .role }}
{{- $tls := and (eq $kafka.sasl.mechanism "") (ne $kafka.certificate.existingSecret "") }}
sasl: {{ ternary $own.existingSecret "" (and (not $tls) (ne $own.existingSecret "")) | default $kafka.sasl.existingSecret | quote }}
certificate: {{ ternary $own.existingSecret "" (and $tls (ne $own.existingSecret "")) | default $kafka.certificate.existingSecret | quote }}
username: {{ $own.username | default $kafka.sasl.username | quote }}
{{- end }}

{{/* librdkafka's properties of a role. Called with root and role. */}}
{{- define "connector.kafka" -}}
{{- $kafka := .root.Values.kafka }}
{{- $principal := include "connector.principal" . | fromYaml }}
bootstrap.servers: {{ $kafka.bootstrapServers | quote }}
security.protocol: {{ $kafka.securityProtocol }}
{{- if $kafka.ca.existingSecret }}
ssl.ca.location: /run/secrets/kafka-ca/{{ $kafka.ca.key }}
{{- end }}
{{- if $principal.certificate }}
ssl.certificate.location: /run/secrets/kafka-certificate/{{ $kafka.certificate.certificateKey }}
ssl.key.location: /run/secrets/kafka-certificate/{{ $kafka.certificate.privateKeyKey }}
{{- with $kafka.certificate.passwordKey }}
ssl.key.password: file:/run/secrets/kafka-certificate/{{ . }}
{{- end }}
{{- end }}
{{- if $kafka.sasl.mechanism }}
sasl.mechanism: {{ $kafka.sasl.mechanism }}
{{- $username := $principal.username | default (printf "file:/run/secrets/kafka-sasl/%s" $kafka.sasl.usernameKey) }}
{{- $password := printf "file:/run/secrets/kafka-sasl/%s" $kafka.sasl.passwordKey }}
{{- if eq $kafka.sasl.mechanism "OAUTHBEARER" }}
sasl.oauthbearer.method: oidc
sasl.oauthbearer.token.endpoint.url: {{ $kafka.sasl.oauth.tokenEndpoint }}
sasl.oauthbearer.client.id: {{ $username | quote }}
sasl.oauthbearer.client.secret: {{ $password }}
{{- with $kafka.sasl.oauth.scope }}
sasl.oauthbearer.scope: {{ . | quote }}
{{- end }}
{{- with $kafka.sasl.oauth.extensions }}
sasl.oauthbearer.extensions: {{ . | quote }}
{{- end }}
{{- else }}
sasl.username: {{ $username | quote }}
sasl.password: {{ $password }}
{{- end }}
{{- end }}
{{- with $kafka.properties }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where schema ids come from, for a part. Called with root and part. */}}
{{- define "connector.registry" -}}
{{- $registry := .root.Values.registry }}
{{- $own := ternary $registry.registration dict (eq .part "schemas") }}
url: {{ $registry.url | quote }}
{{- if eq $registry.authentication "basic" }}
username: {{ $own.username | default $registry.username | quote }}
password: file:/run/secrets/registry/{{ $registry.secretKey }}
{{- else if eq $registry.authentication "token" }}
token: file:/run/secrets/registry/{{ $registry.secretKey }}
{{- end }}
{{- if $registry.ca.existingSecret }}
ca: /run/secrets/registry-ca/{{ $registry.ca.key }}
{{- end }}
{{- end }}

{{/* The endpoint of `helm test`. */}}
{{- define "connector.testEndpoint" -}}
source: visma-net
id: helm-test
tenant: {{ .Values.test.tenant | quote }}
companies: [{{ (.Files.Get "files/settings.yaml" | fromYaml).test.company | quote }}]
authenticate:
  hmac: x-vwd-signature-v1
  secrets: [file:/run/secrets/helm-test/{{ .Values.test.key }}]
{{- end }}

{{/* The file a part reads: only what it needs, so that a new endpoint does not roll the workers, unless it has reading
     options: both roles read by them. Called with root, part (ingress, worker, topics, schemas, test) and role, whose user in
     Kafka it is. */}}
{{- define "connector.config" -}}
{{- $values := .root.Values }}
{{- $config := dict }}
{{- if ne .part "schemas" }}{{ $_ := set $config "kafka" (include "connector.kafka" . | fromYaml) }}{{ end }}
{{- if and $values.registry.url (has .part (list "worker" "test" "schemas")) }}
{{- $_ := set $config "registry" (include "connector.registry" . | fromYaml) }}
{{- end }}
{{- with $values.config.topics }}{{ $_ := set $config "topics" . }}{{ end }}
{{- if has .part (list "ingress" "worker") }}
{{- with get $values.config .part }}{{ $_ := set $config $.part . }}{{ end }}
{{- with $values.digestKey.existingSecret }}
{{- $_ := set $config "digest_key" (printf "file:/run/secrets/digest-key/%s" $values.digestKey.key) }}
{{- end }}
{{- end }}
{{- $endpoints := ternary $values.config.endpoints list (eq .part "ingress") }}
{{- if eq .part "worker" }}
{{- range $endpoint := $values.config.endpoints }}{{ if $endpoint.reading }}{{ $endpoints = append $endpoints $endpoint }}{{ end }}{{ end }}
{{- end }}
{{- if and $values.test.enabled (has .part (list "ingress" "test")) }}
{{- $endpoints = append $endpoints (include "connector.testEndpoint" .root | fromYaml) }}
{{- end }}
{{- with $endpoints }}{{ $_ := set $config "endpoints" . }}{{ end }}
{{- toYaml $config }}
{{- end }}
