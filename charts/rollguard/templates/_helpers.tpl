{{- define "rollguard.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "rollguard.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "rollguard.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "rollguard.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name of what belongs to no namespace: two releases of the same name must not meet there. */}}
{{- define "rollguard.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "rollguard.fullname" .) -}}
{{- end -}}

{{- define "rollguard.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "rollguard.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the account that is there already, or let serviceAccount.create be true" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "rollguard.selector" -}}
app.kubernetes.io/name: {{ include "rollguard.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rollguard.labels" -}}
{{ include "rollguard.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "rollguard.subject" -}}
- kind: ServiceAccount
  name: {{ include "rollguard.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* The settings file: what the administrator gives, and what must fit the rights of this release. */}}
{{- define "rollguard.settings" -}}
{{- $deployers := list -}}
{{- if .Values.argocd.enabled }}{{ $deployers = append $deployers "argocd" }}{{ end -}}
{{- if .Values.flux.enabled }}{{ $deployers = append $deployers "flux" }}{{ end -}}
{{- if not $deployers }}{{ fail "argocd.enabled, flux.enabled: let one of them be true" }}{{ end -}}
{{- $cluster := dict
    "deployers" $deployers
    "fluxNamespaces" .Values.flux.namespaces
    "argocdNamespace" .Values.argocd.namespace
    "applicationNamespaces" .Values.argocd.applicationNamespaces
    "repositorySecrets" .Values.argocd.repositorySecrets
    "approvals" .Values.admissionPolicy.enabled
    "watchNamespaces" .Values.watchNamespaces -}}
{{- $home := ternary .Values.argocd.namespace (first (append .Values.flux.namespaces "flux-system")) .Values.argocd.enabled -}}
{{- $default := dict "cluster" (dict "defaultApplicationNamespace" $home) -}}
{{- $given := deepCopy .Values.settings -}}
{{- $ours := dict
    "store" (dict "kubernetes" (dict))
    "server" (dict "listen" "0.0.0.0:8080")
    "cluster" $cluster -}}
{{- toYaml (mergeOverwrite $default $given $ours) -}}
{{- end -}}

{{/* What Rollguard does where Flux's objects are: see them, and ask for a reconciliation. */}}
{{- define "rollguard.fluxRules" -}}
- apiGroups: [kustomize.toolkit.fluxcd.io]
  resources: [kustomizations]
  verbs: [get, list, watch, patch]
- apiGroups: [source.toolkit.fluxcd.io]
  resources: [gitrepositories]
  verbs: [get, list, watch, patch]
- apiGroups: [helm.toolkit.fluxcd.io]
  resources: [helmreleases]
  verbs: [get, list, watch]
{{- end -}}

{{/* What Rollguard does where policies and pipelines are: in one namespace by a Role, in all of them by a ClusterRole. */}}
{{- define "rollguard.watchedRules" -}}
- apiGroups: [rollguard.dev]
  resources: [slopolicies, promotionpipelines]
  verbs: [get, list, watch]
- apiGroups: [rollguard.dev]
  resources: [slopolicies/status, promotionpipelines/status]
  verbs: [patch]
{{- if .Values.admissionPolicy.enabled }}
- apiGroups: [rollguard.dev]
  resources: [approvals]
  verbs: [get, list, watch]
{{- end }}
- apiGroups: [rollguard.dev]
  resources: [syncanalyses]
  verbs: [get, list, create, patch, delete]
- apiGroups: [rollguard.dev]
  resources: [syncanalyses/status]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
