//! Times in UTC, to the second, as in locks and image configurations.

use std::fmt;
use std::str::FromStr;

/// Seconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC: `2026-06-03T10:11:12Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// The text is not a time in this format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a time: expected one like 2026-06-03T10:11:12Z")]
pub struct TimestampError {
    pub found: String,
}

const DAY: u64 = 86_400;
/// The last second of the year 9999, the last that RFC 3339 can write.
const LAST: u64 = 253_402_300_799;

impl Timestamp {
    /// The time `seconds` after the start of 1970. Times after the year 9999 become its last second.
    #[must_use]
    pub fn from_unix(seconds: u64) -> Self {
        Self(seconds.min(LAST))
    }

    /// The moment `seconds` after 1970 began, unless that is after the year 9999.
    #[must_use]
    pub fn try_from_unix(seconds: u64) -> Option<Self> {
        (seconds <= LAST).then_some(Self(seconds))
    }

    /// Seconds since 1970 began.
    #[must_use]
    pub fn unix(self) -> u64 {
        self.0
    }
}

/// The year, month and day of a number of days since the start of 1970.
///
/// Counts from 0000-03-01, so that the leap day comes last in a year: months then start at day (153 m + 2) / 5.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let (month, carry) = if shifted < 10 { (shifted + 3, 0) } else { (shifted - 9, 1) };
    (era * 400 + year_of_era + carry, month, day)
}

/// The days since the start of 1970 of a date that [`civil`] could return; wrong for any other.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, shifted) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * shifted + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0 / DAY);
        let (hour, minute, second) = (self.0 % DAY / 3_600, self.0 % 3_600 / 60, self.0 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let number = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<u64>().ok());
        let read = || {
            let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
            Some(Self(days * DAY + number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?))
        };
        // Writing it again catches wrong punctuation, impossible dates and signs.
        read()
            .filter(|time| time.to_string() == text)
            .ok_or_else(|| TimestampError { found: text.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_leap_years() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_699_383_189, "2023-11-07T18:53:09Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::from_unix(seconds).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(seconds)));
        }
    }

    #[test]
    fn refuses_what_it_would_not_write() {
        for text in [
            "",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00+00:00",
            "1969-12-31T23:59:59Z",
            "2026-01-01T00:00:0éZ",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parses_what_it_shows(seconds in 0..=LAST) {
            let time = Timestamp::from_unix(seconds);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in "\\PC{0,24}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
