use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;

use super::OBJECTS;

/// Asks a type for its name and fields and answers nothing.
struct Ask<'a>(&'a mut (String, BTreeSet<String>));

#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("asked")
    }
}

impl std::error::Error for Stop {}

impl Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Ask<'_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        Err(Stop)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Stop> {
        *self.0 = (name.to_owned(), fields.iter().map(ToString::to_string).collect());
        Err(Stop)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn fields_of<T: for<'de> Deserialize<'de>>() -> (String, BTreeSet<String>) {
    let mut answer = Default::default();
    let _ = T::deserialize(Ask(&mut answer));
    answer
}

#[test]
fn every_field_of_the_kubernetes_types_is_decided() {
    let types = [
        fields_of::<v1::Pod>(),
        fields_of::<ObjectMeta>(),
        fields_of::<v1::PodSpec>(),
        fields_of::<v1::PodOS>(),
        fields_of::<v1::PodDNSConfig>(),
        fields_of::<v1::PodDNSConfigOption>(),
        fields_of::<v1::HostAlias>(),
        fields_of::<v1::Container>(),
        fields_of::<v1::ContainerPort>(),
        fields_of::<v1::EnvVar>(),
        fields_of::<v1::EnvVarSource>(),
        fields_of::<v1::EnvFromSource>(),
        fields_of::<v1::ConfigMapKeySelector>(),
        fields_of::<v1::SecretKeySelector>(),
        fields_of::<v1::ObjectFieldSelector>(),
        fields_of::<v1::ResourceFieldSelector>(),
        fields_of::<v1::ResourceRequirements>(),
        fields_of::<v1::VolumeMount>(),
        fields_of::<v1::Lifecycle>(),
        fields_of::<v1::LifecycleHandler>(),
        fields_of::<v1::ExecAction>(),
        fields_of::<v1::HTTPGetAction>(),
        fields_of::<v1::HTTPHeader>(),
        fields_of::<v1::SleepAction>(),
        fields_of::<v1::TCPSocketAction>(),
        fields_of::<v1::GRPCAction>(),
        fields_of::<v1::Probe>(),
        fields_of::<v1::PodSecurityContext>(),
        fields_of::<v1::SecurityContext>(),
        fields_of::<v1::Capabilities>(),
        fields_of::<v1::SeccompProfile>(),
        fields_of::<v1::Sysctl>(),
        fields_of::<v1::Volume>(),
        fields_of::<v1::EmptyDirVolumeSource>(),
        fields_of::<v1::HostPathVolumeSource>(),
        fields_of::<v1::ConfigMapVolumeSource>(),
        fields_of::<v1::SecretVolumeSource>(),
        fields_of::<v1::DownwardAPIVolumeSource>(),
        fields_of::<v1::ProjectedVolumeSource>(),
        fields_of::<v1::VolumeProjection>(),
        fields_of::<v1::ConfigMapProjection>(),
        fields_of::<v1::SecretProjection>(),
        fields_of::<v1::DownwardAPIProjection>(),
        fields_of::<v1::KeyToPath>(),
        fields_of::<v1::DownwardAPIVolumeFile>(),
    ];
    assert_eq!(types.len(), OBJECTS.len());
    for (object, fields) in types {
        let listed = OBJECTS.iter().find(|listed| listed.name == object);
        let decided: BTreeSet<String> = listed
            .unwrap()
            .fields
            .iter()
            .map(|(field, _)| (*field).to_owned())
            .collect();
        assert_eq!(decided, fields, "{object}");
    }
}
