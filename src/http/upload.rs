use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::io::ReaderStream;

use super::{Answer, Client, HttpError};

/// How many bytes are read from a file at once.
const BLOCK: usize = 256 << 10;

/// How often progress is checked.
const TICK: Duration = Duration::from_millis(100);

/// The part of a file that a request sends: `length` bytes from its current position.
#[derive(Debug)]
pub struct Part {
    pub file: tokio::fs::File,
    /// Bytes.
    pub length: u64,
}

impl Client {
    /// Sends a part of a file. `sent` receives the number of bytes sent so far.
    ///
    /// An upload may take any time as long as enough bytes move.
    pub async fn upload(
        &self,
        request: RequestBuilder,
        part: Part,
        sent: &mut dyn FnMut(u64),
    ) -> Result<Answer, HttpError> {
        let settings = self.settings();
        let gone = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&gone);
        let blocks = ReaderStream::with_capacity(part.file.take(part.length), BLOCK).inspect(move |block| {
            if let Ok(block) = block {
                counter.fetch_add(block.len() as u64, Ordering::Relaxed);
            }
        });
        let request = request
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, part.length)
            .body(reqwest::Body::wrap_stream(blocks));
        let mut answer = std::pin::pin!(request.send());
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut told, mut before, mut since) = (0, 0, Instant::now());
        loop {
            tokio::select! {
                answer = &mut answer => {
                    let response = answer.map_err(HttpError::network)?;
                    return Ok(Answer::short(response, settings.answer, Instant::now() + settings.answer));
                }
                _ = ticks.tick() => {}
            }
            let now = gone.load(Ordering::Relaxed);
            if now > told {
                told = now;
                sent(now);
            }
            if now - before >= settings.least || now == part.length && now > before {
                (before, since) = (now, Instant::now());
            }
            let limit = if now < part.length { settings.silence } else { settings.digestion };
            let within = since.elapsed();
            if within >= limit {
                return Err(match now - before {
                    0 => HttpError::Silent(limit),
                    bytes => HttpError::Slow { did: "took", bytes, within },
                });
            }
        }
    }
}
