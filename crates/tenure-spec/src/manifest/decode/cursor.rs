//! One value of the tree as serde's data model.

use std::rc::Rc;
use std::slice;

use serde::Deserializer;
use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::super::document::{Entry, Node, Tree};
use super::super::fields::{Decision, decision};
use super::super::scalar::{Scalar, old_boolean};
use super::{Decoder, Refusal, Trail};

/// A value that is being read.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a, 'd> {
    pub(super) decoder: &'a Decoder<'d>,
    pub(super) node: &'a Node,
    pub(super) trail: &'a Trail<'a>,
}

impl Cursor<'_, '_> {
    fn wrong(&self, wanted: &str) {
        self.decoder.type_error(self.trail, wanted, self.node);
    }

    fn scalar(&self) -> Option<&Scalar> {
        match &self.node.tree {
            Tree::Scalar(scalar) => Some(scalar),
            Tree::Seq(_) | Tree::Map(_) => None,
        }
    }

    /// The whole number of a value within bounds; else the error is told and 0 is taken.
    fn integer<T: TryFrom<i128> + Default>(&self, wanted: &str) -> T {
        if let Some(Scalar::Int(value)) = self.scalar()
            && let Ok(value) = T::try_from(*value)
        {
            return value;
        }
        self.wrong(wanted);
        T::default()
    }

    fn is_left_out(&self) -> bool {
        !self.decoder.left_out.is_empty() && self.decoder.left_out.contains(&self.trail.path())
    }
}

/// Numbers that the Kubernetes types do not use, all in one shape.
macro_rules! other_integers {
    ($($method:ident $visit:ident $wanted:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
            visitor.$visit(self.integer($wanted)).map_err(|error: Refusal| error.at(self.trail))
        }
    )*};
}

impl<'de> Deserializer<'de> for Cursor<'_, '_> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let visited = match &self.node.tree {
            Tree::Scalar(Scalar::Null) => visitor.visit_unit(),
            Tree::Scalar(Scalar::Bool(value)) => visitor.visit_bool(*value),
            Tree::Scalar(Scalar::Int(value)) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_i64(value),
                (_, Ok(value)) => visitor.visit_u64(value),
                _ => visitor.visit_i128(*value),
            },
            Tree::Scalar(Scalar::Float(text)) => visitor.visit_f64(text.parse().unwrap_or(f64::NAN)),
            Tree::Scalar(Scalar::Str { text, .. }) => visitor.visit_str(text),
            Tree::Seq(items) => visitor.visit_seq(Items {
                cursor: self,
                items: items.iter(),
                index: 0,
            }),
            Tree::Map(entries) => visitor.visit_map(Fields::all(self, entries)),
        };
        visited.map_err(|error: Refusal| error.at(self.trail))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let value = match self.scalar() {
            Some(Scalar::Bool(value)) => Some(*value),
            Some(Scalar::Str { text, plain: true }) => old_boolean(text),
            _ => None,
        };
        if value.is_none() {
            self.wrong("true or false");
        }
        visitor.visit_bool(value.unwrap_or(false))
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor
            .visit_i32(self.integer("a 32-bit integer"))
            .map_err(|error: Refusal| error.at(self.trail))
    }

    other_integers! {
        deserialize_i8 visit_i8 "an 8-bit integer"
        deserialize_i16 visit_i16 "a 16-bit integer"
        deserialize_i64 visit_i64 "an integer"
        deserialize_u8 visit_u8 "an integer from 0 to 255"
        deserialize_u16 visit_u16 "an integer from 0 to 65535"
        deserialize_u32 visit_u32 "a 32-bit integer from 0"
        deserialize_u64 visit_u64 "an integer from 0"
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_any(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_any(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if let Some(Scalar::Str { text, .. }) = self.scalar() {
            return visitor
                .visit_str(text)
                .map_err(|error: Refusal| error.at(self.trail));
        }
        match self.scalar() {
            Some(Scalar::Null) | None => self.wrong("a string"),
            Some(Scalar::Float(_) | Scalar::Int(_) | Scalar::Bool(_) | Scalar::Str { .. }) => {
                self.wrong("a string in quotes");
            }
        }
        visitor
            .visit_str("")
            .map_err(|error: Refusal| error.at(self.trail))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.scalar() == Some(&Scalar::Null) || self.is_left_out() {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_any(visitor)
    }

    /// A Quantity is taken as written, so that no digit is lost to a float.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        if name != "Quantity" {
            return visitor.visit_newtype_struct(self);
        }
        match self.scalar() {
            Some(Scalar::Str { text, .. } | Scalar::Float(text)) => visitor.visit_str(text),
            Some(Scalar::Int(value)) => visitor.visit_string(value.to_string()),
            Some(Scalar::Null | Scalar::Bool(_)) | None => {
                self.wrong("a quantity such as 500m or 64Mi");
                visitor.visit_str("0")
            }
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let items = match &self.node.tree {
            Tree::Seq(items) => items.as_slice(),
            Tree::Scalar(_) | Tree::Map(_) => {
                self.wrong("a list");
                &[]
            }
        };
        visitor.visit_seq(Items {
            cursor: self,
            items: items.iter(),
            index: 0,
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match &self.node.tree {
            Tree::Map(entries) => visitor.visit_map(Fields::all(self, entries)),
            Tree::Scalar(_) | Tree::Seq(_) => {
                self.wrong("an object");
                visitor.visit_map(MapDeserializer::new(std::iter::empty::<(&str, &str)>()))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match &self.node.tree {
            Tree::Map(entries) => visitor.visit_map(Fields {
                object: Some((name, fields)),
                ..Fields::all(self, entries)
            }),
            Tree::Scalar(_) | Tree::Seq(_) => {
                self.wrong("an object");
                visitor.visit_map(MapDeserializer::new(std::iter::empty::<(&str, &str)>()))
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_any(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_seq(SeqDeserializer::<_, Refusal>::new(std::iter::empty::<&str>()))
    }
}

/// The elements of a list.
struct Items<'a, 'd> {
    cursor: Cursor<'a, 'd>,
    items: slice::Iter<'a, Rc<Node>>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let Some(node) = self.items.next() else {
            return Ok(None);
        };
        let trail = Trail::Index(self.cursor.trail, self.index);
        self.index += 1;
        let item = Cursor {
            decoder: self.cursor.decoder,
            node,
            trail: &trail,
        };
        seed.deserialize(item).map(Some).map_err(|error| error.at(&trail))
    }
}

/// The fields of an object, or the keys of a map.
struct Fields<'a, 'd> {
    cursor: Cursor<'a, 'd>,
    entries: slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
    /// The object's name and fields; `None` for a map.
    object: Option<(&'static str, &'static [&'static str])>,
}

impl<'a, 'd> Fields<'a, 'd> {
    fn all(cursor: Cursor<'a, 'd>, entries: &'a [Entry]) -> Self {
        Self {
            cursor,
            entries: entries.iter(),
            value: None,
            object: None,
        }
    }

    /// Whether an entry is handed to the type; what is not has been told.
    fn admits(&self, entry: &Entry) -> bool {
        let Some((object, fields)) = self.object else {
            return true;
        };
        let trail = Trail::Field(self.cursor.trail, &entry.key);
        if !fields.contains(&entry.key.as_str()) {
            self.cursor.decoder.unknown(&trail, &entry.key, fields);
            return false;
        }
        says_nothing(&entry.node, object) || self.cursor.decoder.admits(object, &entry.key, &trail)
    }
}

/// Whether a value stands for an absent one, so that it need be neither refused nor ignored.
fn says_nothing(node: &Node, object: &str) -> bool {
    match &node.tree {
        Tree::Scalar(scalar) => *scalar == Scalar::Null,
        Tree::Seq(items) => items.is_empty(),
        Tree::Map(entries) => {
            entries.is_empty() && !matches!(object, "Volume" | "LifecycleHandler" | "Probe")
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        loop {
            let Some(entry) = self.entries.next() else {
                return Ok(None);
            };
            if self.admits(entry) {
                self.value = Some(entry);
                let key: StrDeserializer<'_, Refusal> = entry.key.as_str().into_deserializer();
                return seed.deserialize(key).map(Some);
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let Some(entry) = self.value.take() else {
            return Err(serde::de::Error::custom("a value was asked for before its key"));
        };
        let decoder = self.cursor.decoder;
        let trail = Trail::Field(self.cursor.trail, &entry.key);
        let ignored = self
            .object
            .is_some_and(|(object, _)| !matches!(decision(object, &entry.key), Decision::Supported));
        let muted = decoder.muted.replace(decoder.muted.get() || ignored);
        let value = seed.deserialize(Cursor {
            decoder,
            node: &entry.node,
            trail: &trail,
        });
        decoder.muted.set(muted);
        value.map_err(|error| error.at(&trail))
    }
}
