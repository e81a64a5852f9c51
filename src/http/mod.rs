//! The one HTTP client: timeouts, redirects, retries, proxies and the user agent are decided here for everything that is
//! fetched or pushed.

mod answer;
mod client;
mod download;
mod error;
mod hosts;
mod proxy;
mod retry;
mod upload;

pub use answer::Answer;
pub use client::{Client, MAX_REDIRECTS, Settings, is_loopback, shown};
pub use download::{Download, DownloadError, Event};
pub use error::HttpError;
pub use retry::{Failed, is_passing};
pub use upload::Part;

pub use reqwest::header;
pub use reqwest::{Method, RequestBuilder, StatusCode};

#[cfg(test)]
mod tests;
