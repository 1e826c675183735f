{{/* Volumes of a part. Called with root, part and role. */}}
{{- define "connector.volumes" -}}
{{- $values := .root.Values }}
{{- $kafka := $values.kafka }}
{{- $principal := include "connector.principal" . | fromYaml }}
- name: config
  configMap: {name: {{ include "connector.fullname" .root }}-{{ .part }}}
{{- if ne .part "schemas" }}
{{- with $kafka.ca.existingSecret }}
{{ include "connector.secretVolume" (dict "name" "kafka-ca" "secret" .) }}
{{- end }}
{{- if and $kafka.sasl.mechanism $principal.sasl }}
{{ include "connector.secretVolume" (dict "name" "kafka-sasl" "secret" $principal.sasl) }}
{{- end }}
{{- with $principal.certificate }}
{{ include "connector.secretVolume" (dict "name" "kafka-certificate" "secret" .) }}
{{- end }}
{{- end }}
{{- $registry := $values.registry }}
{{- if and $registry.url (has .part (list "worker" "test" "schemas")) }}
{{- if $registry.authentication }}
{{- $own := ternary $registry.registration.existingSecret "" (eq .part "schemas") }}
{{ include "connector.secretVolume" (dict "name" "registry" "secret" ($own | default $registry.existingSecret)) }}
{{- end }}
{{- with $registry.ca.existingSecret }}
{{ include "connector.secretVolume" (dict "name" "registry-ca" "secret" .) }}
{{- end }}
{{- end }}
{{- if has .part (list "ingress" "worker") }}
{{- with $values.digestKey.existingSecret }}
{{ include "connector.secretVolume" (dict "name" "digest-key" "secret" .) }}
{{- end }}
{{- end }}
{{- if eq .part "ingress" }}
{{- range $values.secrets }}
{{ include "connector.secretVolume" (dict "name" (printf "secret-%s" .name) "secret" .existingSecret) }}
{{- end }}
{{- end }}
{{- if and $values.test.enabled (has .part (list "ingress" "test")) }}
{{ include "connector.secretVolume" (dict "name" "helm-test" "secret" $values.test.existingSecret) }}
{{- end }}
{{- if eq .part "worker" }}
- name: tmp # Faust wants a folder of its own; nothing is kept there
  emptyDir: {sizeLimit: 16Mi}
{{- end }}
{{- end }}

{{- define "connector.secretVolume" -}}
- name: {{ .name }}
  secret: {secretName: {{ .secret }}, defaultMode: 0440}
{{- end }}

{{/* Mounts of a part, whole folders: a file mounted by subPath would not follow its Secret. */}}
{{- define "connector.mounts" -}}
{{- range include "connector.volumes" . | fromYamlArray }}
{{- if eq .name "config" }}
- {name: config, mountPath: /etc/connector, readOnly: true}
{{- else if eq .name "tmp" }}
- {name: tmp, mountPath: /tmp}
{{- else }}
- {name: {{ .name }}, mountPath: /run/secrets/{{ trimPrefix "secret-" .name }}, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- define "connector.spread" -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "connector.selector" $.root | nindent 6 }}
      app.kubernetes.io/component: {{ $.part }}
  # each generation is spread by itself, or a rolling update would end lopsided
  matchLabelKeys: [{{ ternary "controller-revision-hash" "pod-template-hash" (eq $.part "worker") }}]
{{- end }}
{{- end }}

{{/* Labels of a pod: no chart version, which would roll the pods for nothing. Called with root and part. */}}
{{- define "connector.podLabels" -}}
{{- include "connector.selector" .root }}
app.kubernetes.io/component: {{ .part }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What every pod has in common. */}}
{{- define "connector.podBasics" -}}
automountServiceAccountToken: false
enableServiceLinks: false # a Service called connector would inject CONNECTOR_PORT, which is no setting
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end }}

{{- define "connector.containerBasics" -}}
image: {{ include "connector.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end }}

{{/* The pod of a role, as template of a Deployment or StatefulSet. Called with root, part and role (the same). */}}
{{- define "connector.pod" -}}
{{- $own := get .root.Values .part }}
{{- $serve := eq .part "ingress" }}
metadata:
  annotations:
    # a changed setting rolls the pods; secrets are read where they are mounted
    checksum/config: {{ include "connector.config" . | sha256sum }}
    {{- with mergeOverwrite (deepCopy .root.Values.commonAnnotations) $own.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "connector.podLabels" . | nindent 4 }}
    {{- with $own.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "connector.podBasics" .root | nindent 2 }}
  serviceAccountName: {{ include "connector.serviceAccountName" .root }}
  {{- with $own.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  # SIGTERM begins an orderly end of this long at most: computed from the deadlines in config
  terminationGracePeriodSeconds: {{ include (ternary "connector.ingressGraceS" "connector.workerGraceS" $serve) .root }}
  containers:
    - name: {{ .part }}
      {{- include "connector.containerBasics" .root | nindent 6 }}
      args: [{{ ternary "serve" "work" $serve }}]
      env:
        - {name: CONNECTOR_CONFIG, value: /etc/connector/connector.yaml}
        {{- if not $serve }}
        # The same name after a restart: the worker gets its partitions back without a rebalance, and ends the
        # transaction its predecessor left open.
        - name: CONNECTOR_WORKER__CLIENT_ID
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        - {name: CONNECTOR_WORKER__STATIC_MEMBERSHIP, value: "true"}
        {{- if $own.disk.enabled }}
        - {name: CONNECTOR_WORKER__STATE, value: rocksdb}
        - {name: CONNECTOR_WORKER__STATE_DIR, value: /var/lib/connector}
        {{- end }}
        {{- end }}
        {{- with $own.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $own.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- if $serve }}
        - {name: http, containerPort: 8080}
        {{- end }}
        - {name: operations, containerPort: 9090}
      startupProbe:
        httpGet: {path: /livez, port: operations}
        periodSeconds: 1
        timeoutSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: operations}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /readyz, port: operations}
        periodSeconds: {{ ternary 2 5 $serve }}
        timeoutSeconds: 2
        failureThreshold: 2
      {{- with $own.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        {{- include "connector.mounts" . | trim | nindent 8 }}
        {{- if and (not $serve) $own.disk.enabled }}
        - {name: state, mountPath: /var/lib/connector}
        {{- end }}
        {{- with $own.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "connector.volumes" . | trim | nindent 4 }}
    {{- with $own.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $own.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- with $own.topologySpreadConstraints }}
    {{- toYaml . | nindent 4 }}
    {{- else }}
    {{- include "connector.spread" . | trim | nindent 4 }}
    {{- end }}
{{- end }}
