//! Log lines in memory. They are compressed, because a service keeps 50 MB of them: that takes about 5.

use std::io::{self, BufRead, BufReader, Cursor, Read as _, Write as _};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::line::{LogLine, kept_line};
use crate::engine::RunError;

/// The images' `logged` cuts lines that are longer than 8 KiB.
const LONGEST_LINE: u64 = 64 << 10;

/// The most compressed bytes for one service: enough for 50 MB that can't be compressed at all.
const LIMIT: usize = 64 << 20;

/// Lines, each with its time, of one service.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// Members of gzip, one after the other.
    bytes: Vec<u8>,
}

impl Packed {
    /// What `part` takes of each line, if it wants it. What isn't UTF-8 is replaced.
    pub(super) fn read(source: impl io::Read, mut part: impl FnMut(&str) -> Option<&str>) -> Result<Self, RunError> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        while next_line(&mut source, &mut line).map_err(RunError::Output)? {
            if let Some(text) = part(&String::from_utf8_lossy(&line)) {
                encoder.write_all(text.as_bytes()).and_then(|()| encoder.write_all(b"\n")).map_err(RunError::Output)?;
            }
            within_limit(encoder.get_ref().len())?;
        }
        Ok(Self { bytes: encoder.finish().map_err(RunError::Output)? })
    }

    /// All of these, in this order.
    pub(super) fn concat(parts: Vec<Self>) -> Result<Self, RunError> {
        let bytes = parts.into_iter().map(|part| part.bytes).collect::<Vec<_>>().concat();
        within_limit(bytes.len())?;
        Ok(Self { bytes })
    }

    pub(super) fn lines(self, service: &str) -> Lines {
        let unpacked = BufReader::new(MultiGzDecoder::new(Cursor::new(self.bytes)));
        Lines { service: service.to_owned(), unpacked, line: Vec::new() }
    }
}

fn within_limit(size: usize) -> Result<(), RunError> {
    if size > LIMIT { Err(RunError::TooMuch { limit: LIMIT as u64 }) } else { Ok(()) }
}

/// Reads a line without its end. Returns whether there was one.
pub(super) fn next_line(source: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if source.by_ref().take(LONGEST_LINE).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    line.pop_if(|byte| *byte == b'\n');
    Ok(true)
}

/// Unpacks lines one by one.
#[derive(Debug)]
pub(super) struct Lines {
    service: String,
    unpacked: BufReader<MultiGzDecoder<Cursor<Vec<u8>>>>,
    line: Vec<u8>,
}

impl Iterator for Lines {
    type Item = LogLine;

    fn next(&mut self) -> Option<LogLine> {
        // What we have packed can be unpacked.
        while next_line(&mut self.unpacked, &mut self.line).unwrap_or_default() {
            let line = kept_line(&self.service, &String::from_utf8_lossy(&self.line));
            if line.is_some() {
                return line;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_debug(line: &str) -> Option<&str> {
        (!line.ends_with("debug")).then_some(line)
    }

    fn texts(packed: Packed) -> Vec<String> {
        packed.lines("a").map(|line| line.text).collect()
    }

    #[test]
    fn lines_come_back_in_order() {
        let time = "2026-11-26T10:48:55.1Z";
        let text = format!("{time} one\nno time\n{time} debug\n{time} \u{fffd}");
        let packed = Packed::read(text.as_bytes(), without_debug).unwrap();
        let more = Packed::read(format!("{time} three\n").as_bytes(), without_debug).unwrap();
        let both = Packed::concat(vec![packed, Packed::default(), more]).unwrap();
        assert_eq!(texts(both), ["one", "\u{fffd}", "three"]);
        assert!(texts(Packed::default()).is_empty());
    }

    #[test]
    fn a_log_takes_a_fraction_of_its_size_and_never_more_than_the_limit() {
        let line = "2026-11-26T10:48:55.123456Z postfix/smtpd[123]: connect from mx.example.org[192.0.2.1]\n";
        let lines = line.repeat(100_000);
        let packed = Packed::read(lines.as_bytes(), without_debug).unwrap();
        assert!(packed.bytes.len() < lines.len() / 10, "{}", packed.bytes.len());
        assert_eq!(packed.lines("a").count(), 100_000);
        assert!(matches!(within_limit(LIMIT + 1), Err(RunError::TooMuch { .. })));
    }
}
