use std::fmt;
use std::str::FromStr;

/// The quota of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// The site's `limits.quota`.
    Default,
    Unlimited,
    /// This many bytes.
    Bytes(u64),
}

impl Quota {
    pub(super) fn from_column(bytes: Option<u64>) -> Self {
        match bytes {
            None => Self::Default,
            Some(0) => Self::Unlimited,
            Some(bytes) => Self::Bytes(bytes),
        }
    }

    pub(super) fn to_sql(self) -> String {
        match self {
            Self::Default => "NULL".to_owned(),
            Self::Unlimited => "0".to_owned(),
            Self::Bytes(bytes) => bytes.to_string(),
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
        let (digits, shift) = match text.char_indices().last() {
            Some((end, 'K')) => (text.get(..end), 10),
            Some((end, 'M')) => (text.get(..end), 20),
            Some((end, 'G')) => (text.get(..end), 30),
            Some((end, 'T')) => (text.get(..end), 40),
            _ => (Some(text), 0),
        };
        digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u64>().ok())
            .and_then(|number| number.checked_mul(1 << shift))
            // Reject more than SQL and Dovecot can represent.
            .filter(|bytes| (1..=i64::MAX.cast_unsigned()).contains(bytes))
            .map(Self::Bytes)
            .ok_or_else(|| "expected bytes, a size such as 500M or 2G, \"default\" or \"unlimited\"".to_owned())
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Unlimited => f.write_str("unlimited"),
            Self::Bytes(bytes) => {
                let unit = [(40, "T"), (30, "G"), (20, "M"), (10, "K")]
                    .into_iter()
                    .find(|(shift, _)| bytes.trailing_zeros() >= *shift && *bytes != 0);
                match unit {
                    Some((shift, unit)) => write!(f, "{}{unit}", bytes >> shift),
                    None => write!(f, "{bytes}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_sizes() {
        for (text, quota, shown) in [
            ("default", Quota::Default, "default"),
            ("unlimited", Quota::Unlimited, "unlimited"),
            ("1000", Quota::Bytes(1000), "1000"),
            ("512M", Quota::Bytes(512 << 20), "512M"),
            ("2048M", Quota::Bytes(2 << 30), "2G"),
        ] {
            assert_eq!(text.parse::<Quota>().unwrap(), quota);
            assert_eq!(quota.to_string(), shown);
        }
        for wrong in ["", "0", "-1", "+1", "1m", "M", "1.5G", "99999999999999999999", "9999999T", "1 G"] {
            assert!(wrong.parse::<Quota>().is_err(), "{wrong:?}");
        }
    }
}
