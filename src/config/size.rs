//! Numbers of bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::ValueError;

/// A number of bytes, in TOML as an integer or as a text with a unit, `"26M"`. A kilobyte has 1024 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Size(u64);

const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];
const WANTED: &str = "a size: bytes, or a number with K, M, G or T, such as \"500M\"";

impl Size {
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let unit = UNITS.iter().find_map(|(unit, shift)| Some((text.strip_suffix(*unit)?, *shift)));
        let (digits, shift) = unit.unwrap_or((text, 0));
        let number = if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse::<u64>().ok() } else { None };
        number
            .and_then(|number| number.checked_mul(1 << shift))
            // More is nothing that SQL, Dovecot and Postfix can represent.
            .filter(|bytes| i64::try_from(*bytes).is_ok())
            .map(Self)
            .ok_or_else(|| ValueError { found: text.to_owned(), wanted: WANTED })
    }
}

/// With the largest unit that leaves an integer.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, shift)| self.0 != 0 && self.0.trailing_zeros() >= *shift) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => self.0.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(WANTED)
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                let bytes = u64::try_from(bytes);
                bytes.map(Size).map_err(|_| E::invalid_value(de::Unexpected::Other("a negative number"), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+[KMGT]?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes, shown) in [
            ("0", 0, "0"),
            ("1000", 1000, "1000"),
            ("26M", 26 << 20, "26M"),
            ("2048M", 2 << 30, "2G"),
            ("1T", 1 << 40, "1T"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, shown));
        }
        for wrong in ["", "-1", "+1", "1m", "M", "1.5G", "1 G", "1MB", "99999999999999999999", "9999999T", "8388608T"] {
            let error = wrong.parse::<Size>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("{wrong:?} is not a size: ")), "{error}");
        }
    }

    #[test]
    fn toml_has_them_with_and_without_units() {
        #[derive(Deserialize)]
        struct File {
            size: Size,
        }
        let read = |value: &str| toml::from_str::<File>(&format!("size = {value}")).map(|file| file.size.bytes());
        assert_eq!((read("26_214_400").unwrap(), read("\"25M\"").unwrap()), (25 << 20, 25 << 20));
        for wrong in ["-1", "1.5", "\"lots\"", "true", "[1]"] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("a size: bytes, or a number with K"), "{error}");
        }
    }
}
