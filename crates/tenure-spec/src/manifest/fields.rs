//! What becomes of every field of the Kubernetes types, decided one by one.
//!
//! A field that is not listed here for an object that is listed is a mistake: a test walks the Kubernetes types'
//! own lists of fields. Objects that are not listed stand below an ignored or refused field, or have nothing to decide.

mod volumes;

use self::volumes::{
    CONFIG_MAP_VOLUME, DOWNWARD_FILE, DOWNWARD_VOLUME, EMPTY_DIR, KEY_TO_PATH, OBJECT_PROJECTION,
    PROJECTED_VOLUME, PROJECTION, SECRET_VOLUME, VOLUME,
};

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Read; the validation may still refuse some of its values.
    Supported,
    /// Read and checked for its types, then ignored with a warning: it cannot change behaviour here.
    Ignored(&'static str),
    /// An error when present.
    Refused(&'static str),
}

use Decision::{Ignored, Refused, Supported};

const SCHEDULING: &str = "nothing is scheduled here, the pod runs on this machine";
const NO_API: &str = "there is no API server here";
const NO_VOLUME: &str = "only emptyDir, hostPath, configMap, secret, downwardAPI and projected volumes are";

/// One object of the Kubernetes types and its fields.
pub(crate) struct Object {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [(&'static str, Decision)],
}

/// The decision on a field of an object; a field of an object that is not listed is read.
pub(crate) fn decision(object: &str, field: &str) -> Decision {
    OBJECTS
        .iter()
        .find(|listed| listed.name == object)
        .and_then(|listed| listed.fields.iter().find(|(name, _)| *name == field))
        .map_or(Supported, |(_, decision)| *decision)
}

/// Every decision.
pub(crate) const OBJECTS: &[Object] = &[
    Object {
        name: "Pod",
        fields: POD,
    },
    Object {
        name: "ObjectMeta",
        fields: METADATA,
    },
    Object {
        name: "PodSpec",
        fields: POD_SPEC,
    },
    Object {
        name: "PodOS",
        fields: &[("name", Supported)],
    },
    Object {
        name: "PodDNSConfig",
        fields: &[
            ("nameservers", Supported),
            ("options", Supported),
            ("searches", Supported),
        ],
    },
    Object {
        name: "PodDNSConfigOption",
        fields: &[("name", Supported), ("value", Supported)],
    },
    Object {
        name: "HostAlias",
        fields: &[("hostnames", Supported), ("ip", Supported)],
    },
    Object {
        name: "Container",
        fields: CONTAINER,
    },
    Object {
        name: "ContainerPort",
        fields: CONTAINER_PORT,
    },
    Object {
        name: "EnvVar",
        fields: ENV_VAR,
    },
    Object {
        name: "EnvVarSource",
        fields: ENV_VAR_SOURCE,
    },
    Object {
        name: "EnvFromSource",
        fields: &[
            ("configMapRef", Supported),
            ("prefix", Supported),
            ("secretRef", Supported),
        ],
    },
    Object {
        name: "ConfigMapKeySelector",
        fields: KEY_SELECTOR,
    },
    Object {
        name: "SecretKeySelector",
        fields: KEY_SELECTOR,
    },
    Object {
        name: "ObjectFieldSelector",
        fields: &[("apiVersion", Supported), ("fieldPath", Supported)],
    },
    Object {
        name: "ResourceFieldSelector",
        fields: RESOURCE_FIELD,
    },
    Object {
        name: "ResourceRequirements",
        fields: RESOURCES,
    },
    Object {
        name: "VolumeMount",
        fields: VOLUME_MOUNT,
    },
    Object {
        name: "Lifecycle",
        fields: LIFECYCLE,
    },
    Object {
        name: "LifecycleHandler",
        fields: LIFECYCLE_HANDLER,
    },
    Object {
        name: "ExecAction",
        fields: &[("command", Supported)],
    },
    Object {
        name: "HTTPGetAction",
        fields: HTTP_GET,
    },
    Object {
        name: "HTTPHeader",
        fields: &[("name", Supported), ("value", Supported)],
    },
    Object {
        name: "SleepAction",
        fields: &[("seconds", Supported)],
    },
    Object {
        name: "TCPSocketAction",
        fields: &[("host", Supported), ("port", Supported)],
    },
    Object {
        name: "GRPCAction",
        fields: GRPC,
    },
    Object {
        name: "Probe",
        fields: PROBE,
    },
    Object {
        name: "PodSecurityContext",
        fields: POD_SECURITY,
    },
    Object {
        name: "SecurityContext",
        fields: SECURITY,
    },
    Object {
        name: "Capabilities",
        fields: &[("add", Supported), ("drop", Supported)],
    },
    Object {
        name: "SeccompProfile",
        fields: &[("localhostProfile", Supported), ("type", Supported)],
    },
    Object {
        name: "Sysctl",
        fields: &[("name", Supported), ("value", Supported)],
    },
    Object {
        name: "Volume",
        fields: VOLUME,
    },
    Object {
        name: "EmptyDirVolumeSource",
        fields: EMPTY_DIR,
    },
    Object {
        name: "HostPathVolumeSource",
        fields: &[("path", Supported), ("type", Supported)],
    },
    Object {
        name: "ConfigMapVolumeSource",
        fields: CONFIG_MAP_VOLUME,
    },
    Object {
        name: "SecretVolumeSource",
        fields: SECRET_VOLUME,
    },
    Object {
        name: "DownwardAPIVolumeSource",
        fields: DOWNWARD_VOLUME,
    },
    Object {
        name: "ProjectedVolumeSource",
        fields: PROJECTED_VOLUME,
    },
    Object {
        name: "VolumeProjection",
        fields: PROJECTION,
    },
    Object {
        name: "ConfigMapProjection",
        fields: OBJECT_PROJECTION,
    },
    Object {
        name: "SecretProjection",
        fields: OBJECT_PROJECTION,
    },
    Object {
        name: "DownwardAPIProjection",
        fields: &[("items", Supported)],
    },
    Object {
        name: "KeyToPath",
        fields: KEY_TO_PATH,
    },
    Object {
        name: "DownwardAPIVolumeFile",
        fields: DOWNWARD_FILE,
    },
];

const POD: &[(&str, Decision)] = &[
    ("apiVersion", Supported),
    ("kind", Supported),
    ("metadata", Supported),
    ("spec", Supported),
    ("status", Ignored("Tenure publishes the status itself")),
];

const METADATA: &[(&str, Decision)] = &[
    ("annotations", Supported),
    ("creationTimestamp", Ignored("the pod is created when it is run")),
    ("deletionGracePeriodSeconds", Ignored(NO_API)),
    ("deletionTimestamp", Ignored(NO_API)),
    ("finalizers", Ignored(NO_API)),
    ("generateName", Supported),
    ("generation", Ignored(NO_API)),
    ("labels", Supported),
    ("managedFields", Ignored(NO_API)),
    ("name", Supported),
    ("namespace", Supported),
    ("ownerReferences", Ignored(NO_API)),
    ("resourceVersion", Ignored(NO_API)),
    ("selfLink", Ignored(NO_API)),
    ("uid", Supported),
];

const POD_SPEC: &[(&str, Decision)] = &[
    ("activeDeadlineSeconds", Supported),
    ("affinity", Ignored(SCHEDULING)),
    ("automountServiceAccountToken", Supported),
    ("containers", Supported),
    ("dnsConfig", Supported),
    ("dnsPolicy", Supported),
    ("enableServiceLinks", Supported),
    ("ephemeralContainers", Refused("use tenure pod exec")),
    ("evictionResponders", Ignored("nothing is evicted here")),
    ("hostAliases", Supported),
    ("hostIPC", Supported),
    ("hostNetwork", Supported),
    ("hostPID", Supported),
    ("hostUsers", Supported),
    ("hostname", Supported),
    ("hostnameOverride", Supported),
    (
        "imagePullSecrets",
        Ignored("bundles are folders, nothing is pulled"),
    ),
    ("initContainers", Supported),
    ("nodeName", Ignored(SCHEDULING)),
    ("nodeSelector", Ignored(SCHEDULING)),
    ("os", Supported),
    ("overhead", Ignored(SCHEDULING)),
    ("preemptionPolicy", Ignored(SCHEDULING)),
    ("priority", Ignored(SCHEDULING)),
    ("priorityClassName", Ignored(SCHEDULING)),
    (
        "readinessGates",
        Refused("nothing here would ever set their conditions"),
    ),
    (
        "resourceClaims",
        Refused("there are no device drivers to claim from"),
    ),
    ("resources", Supported),
    ("restartPolicy", Supported),
    ("runtimeClassName", Ignored("Tenure runs the pod")),
    ("schedulerName", Ignored(SCHEDULING)),
    ("schedulingGates", Ignored(SCHEDULING)),
    ("schedulingGroup", Ignored(SCHEDULING)),
    ("securityContext", Supported),
    ("serviceAccount", Ignored(NO_API)),
    ("serviceAccountName", Ignored(NO_API)),
    ("setHostnameAsFQDN", Supported),
    ("shareProcessNamespace", Supported),
    ("subdomain", Supported),
    ("terminationGracePeriodSeconds", Supported),
    ("tolerations", Ignored(SCHEDULING)),
    ("topologySpreadConstraints", Ignored(SCHEDULING)),
    ("volumes", Supported),
];

const CONTAINER: &[(&str, Decision)] = &[
    ("args", Supported),
    ("command", Supported),
    ("env", Supported),
    ("envFrom", Supported),
    ("image", Supported),
    (
        "imagePullPolicy",
        Ignored("bundles are folders, nothing is pulled"),
    ),
    ("lifecycle", Supported),
    ("livenessProbe", Supported),
    ("name", Supported),
    ("ports", Supported),
    ("readinessProbe", Supported),
    ("resizePolicy", Supported),
    ("resources", Supported),
    ("restartPolicy", Supported),
    ("restartPolicyRules", Supported),
    ("securityContext", Supported),
    ("startupProbe", Supported),
    ("stdin", Supported),
    (
        "stdinOnce",
        Ignored("nothing attaches to a container's standard input"),
    ),
    ("terminationMessagePath", Supported),
    ("terminationMessagePolicy", Supported),
    ("tty", Supported),
    ("volumeDevices", Refused(NO_VOLUME)),
    ("volumeMounts", Supported),
    ("workingDir", Supported),
];

const CONTAINER_PORT: &[(&str, Decision)] = &[
    ("containerPort", Supported),
    ("hostIP", Supported),
    ("hostPort", Supported),
    ("name", Supported),
    ("protocol", Supported),
];

const ENV_VAR: &[(&str, Decision)] = &[
    ("name", Supported),
    ("value", Supported),
    ("valueFrom", Supported),
];

const ENV_VAR_SOURCE: &[(&str, Decision)] = &[
    ("configMapKeyRef", Supported),
    ("fieldRef", Supported),
    ("fileKeyRef", Refused("use configMapKeyRef or fieldRef")),
    ("resourceFieldRef", Supported),
    ("secretKeyRef", Supported),
];

const KEY_SELECTOR: &[(&str, Decision)] = &[("key", Supported), ("name", Supported), ("optional", Supported)];

const RESOURCE_FIELD: &[(&str, Decision)] = &[
    ("containerName", Supported),
    ("divisor", Supported),
    ("resource", Supported),
];

const RESOURCES: &[(&str, Decision)] = &[
    ("claims", Refused("there are no device drivers to claim from")),
    ("limits", Supported),
    ("requests", Supported),
];

const VOLUME_MOUNT: &[(&str, Decision)] = &[
    (
        "bindMountOptions",
        Refused("volumes are mounted as the kernel's defaults have it"),
    ),
    ("mountPath", Supported),
    ("mountPropagation", Supported),
    ("name", Supported),
    ("readOnly", Supported),
    ("recursiveReadOnly", Supported),
    ("subPath", Supported),
    ("subPathExpr", Refused("use subPath")),
];

const LIFECYCLE: &[(&str, Decision)] = &[
    ("postStart", Supported),
    ("preStop", Supported),
    ("stopSignal", Supported),
];

const LIFECYCLE_HANDLER: &[(&str, Decision)] = &[
    ("exec", Supported),
    ("httpGet", Supported),
    ("sleep", Supported),
    ("tcpSocket", Supported),
];

const HTTP_GET: &[(&str, Decision)] = &[
    ("host", Supported),
    ("httpHeaders", Supported),
    ("path", Supported),
    ("port", Supported),
    ("protocol", Refused("requests are HTTP/1.1")),
    ("scheme", Supported),
];

const GRPC: &[(&str, Decision)] = &[
    ("mode", Refused("gRPC probes are plain text")),
    ("port", Supported),
    ("service", Supported),
];

const PROBE: &[(&str, Decision)] = &[
    ("exec", Supported),
    ("failureThreshold", Supported),
    ("grpc", Supported),
    ("httpGet", Supported),
    ("initialDelaySeconds", Supported),
    ("periodSeconds", Supported),
    ("successThreshold", Supported),
    ("tcpSocket", Supported),
    ("terminationGracePeriodSeconds", Supported),
    ("timeoutSeconds", Supported),
];

const POD_SECURITY: &[(&str, Decision)] = &[
    ("appArmorProfile", Refused("the bundle's own profile stands")),
    ("fsGroup", Supported),
    ("fsGroupChangePolicy", Supported),
    ("runAsGroup", Supported),
    ("runAsNonRoot", Supported),
    ("runAsUser", Supported),
    ("seLinuxChangePolicy", Ignored("volumes are not relabelled")),
    ("seLinuxOptions", Refused("the bundle's own label stands")),
    ("seccompProfile", Supported),
    ("supplementalGroups", Supported),
    ("supplementalGroupsPolicy", Supported),
    ("sysctls", Supported),
    ("windowsOptions", Refused("this is Linux")),
];

const SECURITY: &[(&str, Decision)] = &[
    ("allowPrivilegeEscalation", Supported),
    ("appArmorProfile", Refused("the bundle's own profile stands")),
    ("capabilities", Supported),
    ("privileged", Supported),
    ("procMount", Supported),
    ("readOnlyRootFilesystem", Supported),
    ("runAsGroup", Supported),
    ("runAsNonRoot", Supported),
    ("runAsUser", Supported),
    ("seLinuxOptions", Refused("the bundle's own label stands")),
    ("seccompProfile", Supported),
    ("windowsOptions", Refused("this is Linux")),
];

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
