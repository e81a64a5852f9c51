//! Which keys a table may have, asked of serde itself: the derived code of every struct announces its fields.

use serde::Deserializer;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::document::Step;

/// The fields of the struct at `path` inside of a `T`; none where there is no struct.
pub(super) fn fields_at<T: DeserializeOwned>(path: &[Step<'_>]) -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // Ends with an error in any case: there is no value.
    let _ = T::deserialize(Probe { path, fields: &mut fields });
    fields
}

/// Pretends to be a value with only the fields on the path, until the struct at its end reports its fields.
struct Probe<'a, 'p> {
    path: &'p [Step<'p>],
    fields: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for Probe<'_, '_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.path.is_empty() {
            *self.fields = fields;
            return Err(Error::custom("found"));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Some((step, path)) = self.path.split_first() else { return Err(Error::custom("not a struct")) };
        let inside = Probe { path, fields: self.fields };
        match step {
            Step::Key(key) => visitor.visit_map(MapDeserializer::new([(*key, inside)].into_iter())),
            Step::Index(_) => visitor.visit_seq(SeqDeserializer::new([inside].into_iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

impl IntoDeserializer<'_> for Probe<'_, '_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Recipe;

    #[test]
    fn structs_announce_their_fields_wherever_they_are() {
        use Step::{Index, Key};
        let fields = fields_at::<Recipe>(&[]);
        assert!(fields.contains(&"world") && fields.contains(&"user"), "{fields:?}");
        assert_eq!(fields_at::<Recipe>(&[Key("link"), Index(3)]), ["path", "target"]);
        assert_eq!(fields_at::<Recipe>(&[Key("channel"), Key("x"), Key("link"), Index(0)]), ["path", "target"]);
        assert!(fields_at::<Recipe>(&[Key("image"), Key("healthcheck")]).contains(&"start-period"));
        for path in [&[Key("world")][..], &[Key("world"), Index(0)], &[Key("nothing")], &[Key("channel")]] {
            assert!(fields_at::<Recipe>(path).is_empty(), "{path:?}");
        }
    }
}
