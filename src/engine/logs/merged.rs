use super::line::LogLine;
use super::packed::Lines;

/// The lines of several logs, in the order of time.
#[derive(Debug, Default)]
pub struct Merged {
    sources: Vec<Source>,
    /// Services whose own log ends too early.
    pub unkept: Vec<Unkept>,
}

/// A service that can't keep its log.
#[derive(Debug)]
pub struct Unkept {
    pub service: String,
    /// The time of the last line that it kept, if it kept any.
    pub last: Option<String>,
    /// What it says about that.
    pub reason: Option<String>,
}

#[derive(Debug)]
struct Source {
    next: LogLine,
    rest: Lines,
}

impl Merged {
    pub(super) fn add(&mut self, mut lines: Lines) {
        if let Some(next) = lines.next() {
            self.sources.push(Source { next, rest: lines });
        }
    }

    /// The length of the longest name of a service with lines.
    #[must_use]
    pub fn width(&self) -> usize {
        self.sources.iter().map(|source| source.next.service.len()).max().unwrap_or_default()
    }
}

impl Iterator for Merged {
    type Item = LogLine;

    fn next(&mut self) -> Option<LogLine> {
        let (position, source) =
            self.sources.iter_mut().enumerate().min_by(|(_, a), (_, b)| a.next.time.cmp(&b.next.time))?;
        match source.rest.next() {
            Some(next) => Some(std::mem::replace(&mut source.next, next)),
            None => Some(self.sources.remove(position).next),
        }
    }
}
