use std::time::SystemTime;

use crate::timestamp::Timestamp;

/// Reads a time, or how long ago it was: `90s`, `10m`, `2h`, `1d`.
pub(super) fn ago(text: &str) -> Result<Timestamp, String> {
    let seconds = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(unit)
    };
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    match seconds() {
        Some(seconds) => Ok(Timestamp::from_unix(now.saturating_sub(seconds))),
        None => text.parse().map_err(|_| "expected a time such as 10m, 2h, 1d or 2026-06-03T10:11:12Z".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_given_or_counted_back_from_now() {
        assert_eq!(ago("2026-06-03T10:11:12Z").unwrap().to_string(), "2026-06-03T10:11:12Z");
        let (minute, day) = (ago("1m").unwrap().unix(), ago("1d").unwrap().unix());
        assert!((86_339..=86_341).contains(&(minute - day)), "{minute} {day}");
        for wrong in ["", "10", "h", "-1h", "yesterday", "1ü"] {
            assert!(ago(wrong).is_err(), "{wrong:?}");
        }
    }
}
