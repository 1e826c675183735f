{{/* What the schema cannot say: values that do not fit together. All faults at once, each with its remedy. */}}
{{- define "connector.validate" -}}
{{- $faults := concat
  (include "connector.kafkaFaults" . | fromYamlArray)
  (include "connector.endpointFaults" . | fromYamlArray)
  (include "connector.sizeFaults" . | fromYamlArray)
  (include "connector.wayFaults" . | fromYamlArray)
  (include "connector.registryFaults" . | fromYamlArray) }}
{{- if $faults }}
{{- fail (printf "these values cannot work:\n  - %s" (join "\n  - " $faults)) }}
{{- end }}
{{- end }}

{{- define "connector.kafkaFaults" -}}
{{- $kafka := .Values.kafka }}
{{- $sasl := hasPrefix "sasl_" $kafka.securityProtocol }}
{{- $tls := hasSuffix "ssl" $kafka.securityProtocol }}
{{- if not $kafka.bootstrapServers }}
- "kafka.bootstrapServers: missing; write host:port of your brokers, such as kafka-bootstrap.kafka:9093"
{{- end }}
{{- range compact (splitList "," $kafka.bootstrapServers) }}
{{- if not (regexMatch "^[^ /]+:[0-9]+$" (trim .)) }}
- "kafka.bootstrapServers: {{ trim . }} is not host:port"
{{- end }}
{{- end }}
{{- if not $kafka.securityProtocol }}
- "kafka.securityProtocol: missing; write sasl_ssl, ssl, sasl_plaintext or plaintext"
{{- end }}
{{- if and $kafka.sasl.mechanism $kafka.securityProtocol (not $sasl) }}
- "kafka.sasl.mechanism: has no effect with {{ $kafka.securityProtocol }}; use sasl_ssl, or remove it"
{{- end }}
{{- if and $sasl (not $kafka.sasl.mechanism) }}
- "kafka.sasl.mechanism: missing with {{ $kafka.securityProtocol }}; write SCRAM-SHA-512, SCRAM-SHA-256, PLAIN or OAUTHBEARER"
{{- end }}
{{- if and (eq $kafka.sasl.mechanism "OAUTHBEARER") (not $kafka.sasl.oauth.tokenEndpoint) }}
- "kafka.sasl.oauth.tokenEndpoint: missing with OAUTHBEARER; write the URL that gives tokens"
{{- end }}
{{- range $role := concat (list "ingress" "worker") (ternary (list "topics") list (eq $kafka.provisioning "job")) }}
{{- if and $kafka.sasl.mechanism (not (include "connector.principal" (dict "root" $ "role" $role) | fromYaml).sasl) }}
- "kafka.sasl.existingSecret: missing, and kafka.principals.{{ $role }}.existingSecret too; name the Secret with the password"
{{- end }}
{{- end }}
{{- if and $kafka.certificate.existingSecret $kafka.securityProtocol (not $tls) }}
- "kafka.certificate.existingSecret: has no effect with {{ $kafka.securityProtocol }}; use ssl or sasl_ssl"
{{- end }}
{{- if and $kafka.ca.existingSecret $kafka.securityProtocol (not $tls) }}
- "kafka.ca.existingSecret: has no effect with {{ $kafka.securityProtocol }}; use ssl or sasl_ssl"
{{- end }}
{{- range $name, $value := $kafka.properties }}
{{- if has $name ($.Files.Get "files/settings.yaml" | fromYaml).owned }}
- "kafka.properties: {{ $name }} is set by the connector itself; remove it"
{{- else if and (regexMatch "password|secret|key\\.pem|assertion\\.private\\.key\\.pem|jaas" $name) (not (hasPrefix "file:" (toString $value))) }}
- "kafka.properties: {{ $name }} holds a secret; put it into a Secret, mount that by extraVolumes, and write file:/path"
{{- end }}
{{- end }}
{{- if and (eq $kafka.provisioning "strimzi") (not $kafka.strimzi.cluster) }}
- "kafka.strimzi.cluster: missing with provisioning: strimzi; name the Kafka resource"
{{- end }}
{{- if and $kafka.strimzi.users.create (ne $kafka.provisioning "strimzi") }}
- "kafka.strimzi.users.create: needs kafka.provisioning: strimzi"
{{- end }}
{{- end }}

{{- define "connector.registryFaults" -}}
{{- $registry := .Values.registry }}
{{- if $registry.authentication }}
{{- if not $registry.url }}
- "registry.authentication: has no effect without registry.url; write its address, or remove it"
{{- end }}
{{- if not $registry.existingSecret }}
- "registry.existingSecret: missing with {{ $registry.authentication }}; name the Secret with the password or token"
{{- end }}
{{- else if or $registry.existingSecret $registry.registration.existingSecret }}
- "registry.authentication: missing; write basic or token, or remove registry.existingSecret"
{{- end }}
{{- if and (eq $registry.authentication "basic") (not $registry.username) }}
- "registry.username: missing with basic"
{{- end }}
{{- if and $registry.ca.existingSecret (not (hasPrefix "https://" $registry.url)) }}
- "registry.ca.existingSecret: has no effect without https in registry.url"
{{- end }}
{{- end }}

{{- define "connector.endpointFaults" -}}
{{- $folders := list }}
{{- range .Values.secrets }}{{ $folders = append $folders .name }}{{ end }}
{{- $known := $folders | join ", " | default "none" }}
{{- if and (not .Values.config.endpoints) (not .Values.test.enabled) }}
- "config.endpoints: none, so nobody could call; add source, id, tenant and authenticate"
{{- end }}
{{- range $at, $endpoint := .Values.config.endpoints }}
{{- range $place, $references := pick ($endpoint.authenticate | default dict) "secrets" "url_token" }}
{{- range ternary (list $references) $references (kindIs "string" $references) }}
{{- include "connector.referenceFault" (dict "at" $at "place" (print "authenticate." $place) "reference" . "folders" $folders "known" $known) }}
{{- end }}
{{- end }}
{{- with dig "authenticate" "body_signature" "secrets" list $endpoint }}
{{- range ternary (list .) . (kindIs "string" .) }}
{{- include "connector.referenceFault" (dict "at" $at "place" "authenticate.body_signature.secrets" "reference" . "folders" $folders "known" $known) }}
{{- end }}
{{- end }}
{{- range concat ($endpoint.companies | default list) (keys ($endpoint.tenants | default dict)) }}
{{- if or (hasPrefix "env:" .) (hasPrefix "file:" .) }}
{{- include "connector.referenceFault" (dict "at" $at "place" "companies" "reference" . "folders" $folders "known" $known) }}
{{- end }}
{{- end }}
{{- if and (eq $endpoint.source "duett") (not $.Values.digestKey.existingSecret) }}
- "digestKey.existingSecret: missing; config.endpoints[{{ $at }}] is Duett's, whose company ids are kept as keyed hashes"
{{- end }}
{{- if and $.Values.test.enabled (eq (print $endpoint.source "/" $endpoint.id) "visma-net/helm-test") }}
- "config.endpoints[{{ $at }}]: visma-net/helm-test is the endpoint of the test; choose another id"
{{- end }}
{{- end }}
{{- range $name, $count := include "connector.counted" $folders | fromYaml }}
{{- if gt ($count | int) 1 }}
- "secrets: {{ $name }} stands there twice; one folder, one Secret"
{{- end }}
{{- end }}
{{- range list "kafka-ca" "kafka-sasl" "kafka-certificate" "digest-key" "helm-test" "registry" "registry-ca" }}
{{- if has . $folders }}
- "secrets: {{ . }} is a folder of the chart's own; choose another name"
{{- end }}
{{- end }}
{{- if and .Values.test.enabled (not .Values.test.existingSecret) }}
- "test.existingSecret: missing; name a Secret with at least 16 random bytes under {{ .Values.test.key }}"
{{- end }}
{{- end }}

{{- define "connector.referenceFault" -}}
{{- $where := printf "config.endpoints[%d].%s" (int .at) .place }}
{{- if hasPrefix "env:" .reference }}
- "{{ $where }}: a variable cannot be rotated without a restart; write file:/run/secrets/<name>/<key>, with <name> listed under secrets"
{{- else if not (regexMatch "^file:/run/secrets/[^/]+/[^/]+$" .reference) }}
- "{{ $where }}: a secret does not stand here itself; write file:/run/secrets/<name>/<key>, with <name> listed under secrets"
{{- else if not (has (regexReplaceAll "^file:/run/secrets/([^/]+)/.*$" .reference "${1}") .folders) }}
- "{{ $where }}: no such folder in {{ .reference }}; listed under secrets: {{ .known }}"
{{- end }}
{{- end }}

{{- define "connector.counted" -}}
{{- $counts := dict }}
{{- range . }}{{ $_ := set $counts . (add1 (get $counts . | default 0)) }}{{ end }}
{{- toYaml $counts }}
{{- end }}

{{- define "connector.sizeFaults" -}}
{{- $partitions := include "connector.partitions" . | int }}
{{- $ingress := .Values.ingress.autoscaling }}
{{- if and $ingress.enabled (gt ($ingress.minReplicas | int) ($ingress.maxReplicas | int)) }}
- "ingress.autoscaling: minReplicas {{ $ingress.minReplicas }} is more than maxReplicas {{ $ingress.maxReplicas }}"
{{- end }}
{{- $keda := .Values.worker.keda }}
{{- if $keda.enabled }}
{{- if gt ($keda.maxReplicas | int) $partitions }}
- "worker.keda.maxReplicas: {{ $keda.maxReplicas }} is more than config.topics.partitions, {{ $partitions }}; a partition has one owner, the others would idle"
{{- end }}
{{- if gt ($keda.minReplicas | int) ($keda.maxReplicas | default $partitions | int) }}
- "worker.keda: minReplicas {{ $keda.minReplicas }} is more than {{ $keda.maxReplicas | default $partitions }}, the most there may be"
{{- end }}
{{- else if gt (.Values.worker.replicas | int) $partitions }}
- "worker.replicas: {{ .Values.worker.replicas }} is more than config.topics.partitions, {{ $partitions }}; a partition has one owner, the others would idle"
{{- end }}
{{- end }}

{{- define "connector.wayFaults" -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.gateway) }}
- "networkPolicy.gateway: nobody may post callbacks; name the gateway's namespace: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: gateway}}}], or set networkPolicy.enabled=false"
{{- end }}
{{- if and .Values.podMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.monitoring) }}
- "networkPolicy.monitoring: missing, so Prometheus may not scrape; name its namespace: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]"
{{- end }}
{{- if and .Values.prometheusRule.enabled (not .Values.podMonitor.enabled) (not .Values.prometheusRule.selector) }}
- "prometheusRule.enabled: needs podMonitor.enabled; or name the labels your own scrape gives: prometheusRule.selector, such as job=\"erp\""
{{- end }}
{{- if and .Values.expose.ingress.enabled (not .Values.expose.ingress.hosts) }}
- "expose.ingress.hosts: missing; name the host vendors call"
{{- end }}
{{- if and .Values.expose.httpRoute.enabled (not .Values.expose.httpRoute.parentRefs) }}
- "expose.httpRoute.parentRefs: missing; name the Gateway: [{name: public, namespace: gateway}]"
{{- end }}
{{- end }}
