use std::fmt;
use std::str::FromStr;

use crate::config::Size;

/// The quota of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// The site's `limits.quota`.
    Default,
    Unlimited,
    /// More than 0 bytes.
    Limited(Size),
}

impl Quota {
    pub(super) fn from_column(bytes: Option<u64>) -> Self {
        match bytes {
            None => Self::Default,
            Some(0) => Self::Unlimited,
            Some(bytes) => Self::Limited(Size::new(bytes)),
        }
    }

    pub(super) fn to_sql(self) -> String {
        match self {
            Self::Default => "NULL".to_owned(),
            Self::Unlimited => "0".to_owned(),
            Self::Limited(size) => size.bytes().to_string(),
        }
    }
}

/// `default`, `unlimited` or a size such as `500M`.
impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => return Ok(Self::Default),
            "unlimited" => return Ok(Self::Unlimited),
            _ => {}
        }
        let size = text.parse::<Size>().ok().filter(|size| size.bytes() > 0);
        size.map(Self::Limited)
            .ok_or_else(|| "expected bytes, a size such as 500M or 2G, \"default\" or \"unlimited\"".to_owned())
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Unlimited => f.write_str("unlimited"),
            Self::Limited(size) => size.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_sizes_or_words() {
        for (text, shown, column) in [
            ("default", "default", "NULL"),
            ("unlimited", "unlimited", "0"),
            ("1000", "1000", "1000"),
            ("2048M", "2G", "2147483648"),
        ] {
            let quota: Quota = text.parse().unwrap();
            assert_eq!((quota.to_string().as_str(), quota.to_sql().as_str()), (shown, column));
        }
        for wrong in ["", "0", "0M", "-1", "9999999T", "Default"] {
            assert!(wrong.parse::<Quota>().is_err(), "{wrong:?}");
        }
    }
}
