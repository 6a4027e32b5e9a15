{{- define "vmic.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- /* As the earlier chart named its objects: they are upgraded in place. */}}
{{- define "vmic.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "vmic.selectorLabels" -}}
app.kubernetes.io/name: {{ include "vmic.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "vmic.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "vmic.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "vmic.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "vmic.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "vmic.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* What Pod Security "restricted" asks for; values go over it. */}}
{{- define "vmic.podSecurityContext" -}}
{{- $base := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- if or (eq (toString .Values.securityContext.runAsUser) "0") (eq (toString .Values.podSecurityContext.runAsUser) "0") -}}
{{- $base = set $base "runAsNonRoot" false -}}
{{- end -}}
{{- toYaml (mergeOverwrite $base (deepCopy .Values.podSecurityContext)) -}}
{{- end }}

{{- define "vmic.securityContext" -}}
{{- $base := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- toYaml (mergeOverwrite $base (deepCopy .Values.securityContext)) -}}
{{- end }}

{{- /* Not said of a claim that has another one: it cannot be changed, and the earlier chart
did not read storageClassName. */}}
{{- define "vmic.claimClass" -}}
{{- $class := .Values.pvcClaim.storageClassName | default .Values.pvcClaim.storageClass -}}
{{- $there := lookup "v1" "PersistentVolumeClaim" .Release.Namespace (include "vmic.fullname" .) -}}
{{- if or (not $there) (eq (ternary "" $class (eq $class "-")) (dig "spec" "storageClassName" "" $there)) -}}
{{- $class -}}
{{- end -}}
{{- end }}

{{- define "vmic.check" -}}
{{- if gt (int .Values.replicaCount) 1 -}}
{{- if and .Values.storage.enabled (not (and .Values.pvcClaim.enabled (eq .Values.pvcClaim.accessMode "ReadWriteMany"))) -}}
{{- fail (printf "replicaCount %d: several replicas need storage that all of them see (pvcClaim.enabled=true and pvcClaim.accessMode=ReadWriteMany), or none (storage.enabled=false: disks are streamed)" (int .Values.replicaCount)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.pvcClaim.enabled (not .Values.storage.enabled) -}}
{{- fail "pvcClaim.enabled=true asks for a volume, storage.enabled=false for none" -}}
{{- end -}}
{{- if and .Values.pvcClaim.storageClassName .Values.pvcClaim.storageClass (ne .Values.pvcClaim.storageClassName .Values.pvcClaim.storageClass) -}}
{{- fail (printf "pvcClaim.storageClassName %s and pvcClaim.storageClass %s name different classes" .Values.pvcClaim.storageClassName .Values.pvcClaim.storageClass) -}}
{{- end -}}
{{- end }}

{{/* Values of an earlier chart, which helm keeps with --reuse-values, do not have it. */}}
{{- define "vmic.denyEndpoints" -}}
{{- join "," (default (list "loopback" "link-local" "cluster" "10.52.0.0/16") .Values.denyEndpoints) -}}
{{- end }}
