//! The fields of volumes.

use super::Decision::{self, Refused, Supported};
use super::{NO_API, NO_VOLUME};

pub(super) const VOLUME: &[(&str, Decision)] = &[
    ("awsElasticBlockStore", Refused(NO_VOLUME)),
    ("azureDisk", Refused(NO_VOLUME)),
    ("azureFile", Refused(NO_VOLUME)),
    ("cephfs", Refused(NO_VOLUME)),
    ("cinder", Refused(NO_VOLUME)),
    ("configMap", Supported),
    ("csi", Refused(NO_VOLUME)),
    ("downwardAPI", Supported),
    ("emptyDir", Supported),
    ("ephemeral", Refused(NO_VOLUME)),
    ("fc", Refused(NO_VOLUME)),
    ("flexVolume", Refused(NO_VOLUME)),
    ("flocker", Refused(NO_VOLUME)),
    ("gcePersistentDisk", Refused(NO_VOLUME)),
    ("gitRepo", Refused(NO_VOLUME)),
    ("glusterfs", Refused(NO_VOLUME)),
    ("hostPath", Supported),
    ("image", Refused(NO_VOLUME)),
    ("iscsi", Refused(NO_VOLUME)),
    ("name", Supported),
    ("nfs", Refused(NO_VOLUME)),
    ("persistentVolumeClaim", Refused(NO_VOLUME)),
    ("photonPersistentDisk", Refused(NO_VOLUME)),
    ("portworxVolume", Refused(NO_VOLUME)),
    ("projected", Supported),
    ("quobyte", Refused(NO_VOLUME)),
    ("rbd", Refused(NO_VOLUME)),
    ("scaleIO", Refused(NO_VOLUME)),
    ("secret", Supported),
    ("storageos", Refused(NO_VOLUME)),
    ("vsphereVolume", Refused(NO_VOLUME)),
];

pub(super) const EMPTY_DIR: &[(&str, Decision)] = &[
    ("medium", Supported),
    ("mode", Refused("the folder has mode 0777")),
    ("sizeLimit", Supported),
];

pub(super) const CONFIG_MAP_VOLUME: &[(&str, Decision)] = &[
    ("defaultMode", Supported),
    ("defaultUser", Supported),
    ("items", Supported),
    ("name", Supported),
    ("optional", Supported),
];

pub(super) const SECRET_VOLUME: &[(&str, Decision)] = &[
    ("defaultMode", Supported),
    ("defaultUser", Supported),
    ("items", Supported),
    ("optional", Supported),
    ("secretName", Supported),
];

pub(super) const DOWNWARD_VOLUME: &[(&str, Decision)] = &[
    ("defaultMode", Supported),
    ("defaultUser", Supported),
    ("items", Supported),
];

pub(super) const PROJECTED_VOLUME: &[(&str, Decision)] = &[
    ("defaultMode", Supported),
    ("defaultUser", Supported),
    ("sources", Supported),
];

pub(super) const PROJECTION: &[(&str, Decision)] = &[
    ("clusterTrustBundle", Refused(NO_API)),
    ("configMap", Supported),
    ("downwardAPI", Supported),
    ("podCertificate", Refused(NO_API)),
    ("secret", Supported),
    ("serviceAccountToken", Refused(NO_API)),
];

pub(super) const OBJECT_PROJECTION: &[(&str, Decision)] =
    &[("items", Supported), ("name", Supported), ("optional", Supported)];

pub(super) const KEY_TO_PATH: &[(&str, Decision)] = &[
    ("key", Supported),
    ("mode", Supported),
    ("path", Supported),
    ("user", Supported),
];

pub(super) const DOWNWARD_FILE: &[(&str, Decision)] = &[
    ("fieldRef", Supported),
    ("mode", Supported),
    ("path", Supported),
    ("resourceFieldRef", Supported),
    ("user", Supported),
];
