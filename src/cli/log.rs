//! The log: warnings, in the same form as all other warnings, and with -v each step.

use std::fmt;

use owo_colors::OwoColorize as _;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::ui::Ui;

/// Starts the log. RUST_LOG replaces what `verbose`, the number of -v, chooses.
pub(super) fn start(verbose: u8, ui: &Ui) {
    let default = match verbose {
        0 => "warn",
        1 => "mailimg=info,warn",
        _ => "mailimg=debug,info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| default.into());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(ui.log_writer());
    log.with_ansi(Ui::log_has_colours()).event_format(Line(Format::default().without_time())).init();
}

/// A line of the log.
struct Line(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if *event.metadata().level() != Level::WARN {
            return self.0.format_event(context, to, event);
        }
        if to.has_ansi_escapes() {
            write!(to, "{} ", "warning:".yellow().bold())?;
        } else {
            to.write_str("warning: ")?;
        }
        context.format_fields(to.by_ref(), event)?;
        writeln!(to)
    }
}
