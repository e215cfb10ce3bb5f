//! The pod's name and uid, made where the manifest leaves them out.

use std::fs::File;
use std::io::{self, Read as _};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::report::{Path, Report};

/// Letters and digits that do not make words, as Kubernetes' own generated names have them.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// The longest prefix of a generated name.
const PREFIX_LONGEST: usize = 58;

/// Fills in a name from `generateName` and a random uid.
pub(crate) fn complete(meta: &mut ObjectMeta, report: &mut Report) {
    let empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    let path = Path::root().field("metadata");
    let random = match random() {
        Ok(random) => random,
        Err(error) => return report.error(&path.field("uid"), format!("no randomness to make one: {error}")),
    };
    if empty(&meta.name)
        && let Some(prefix) = meta.generate_name.as_ref().filter(|prefix| !prefix.is_empty())
    {
        let mut name: String = prefix.chars().take(PREFIX_LONGEST).collect();
        let letter = |byte: &u8| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]);
        name.extend(random[16..21].iter().map(letter));
        meta.name = Some(name);
    }
    if empty(&meta.uid) {
        meta.uid = Some(uuid(&random));
    }
}

fn random() -> io::Result<[u8; 21]> {
    let mut random = [0; 21];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random)
}

/// A random UUID (version 4).
fn uuid(random: &[u8; 21]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in random.iter().take(16).enumerate() {
        let byte = match index {
            6 => byte & 0x0f | 0x40,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
