use std::io::{self, BufWriter, Write};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::process::{self, Limits};
use super::{Engine, EngineError};
use crate::oci::{Image, archive, local_reference};
use crate::progress::{Progress, Step, Total};

/// For the engine to unpack an image.
const LOAD: Limits = Limits { time: Duration::from_hours(1), output: 1 << 20 };

impl Engine {
    /// Loads an image of the layout at `layout` into the engine, and returns its name there. An image that the engine
    /// has already is not sent again.
    pub fn load(&self, layout: &Utf8Path, image: Image, progress: &dyn Progress) -> Result<String, EngineError> {
        let reference = local_reference(&image.name, image.manifest.digest);
        if self.has_image(&reference)? {
            return Ok(reference);
        }
        let size = image.layers.iter().map(|layer| layer.size).sum();
        let step = progress.start(&format!("Loading {}", image.name), Total::Bytes(size));
        let (name, layout): (_, Utf8PathBuf) = (image.name.clone(), layout.to_owned());
        let feed = move |pipe: process::Pipe| {
            let mut out = BufWriter::with_capacity(1 << 20, Counted { pipe, step });
            archive(&layout, &image, &mut out)
        };
        let ended = process::run(self.command().arg("load"), LOAD, feed).map_err(|source| self.failed(source))?;
        if ended.success {
            return Ok(reference);
        }
        Err(EngineError::Load { image: name, program: self.program.clone(), said: ended.last_line() })
    }

    fn has_image(&self, reference: &str) -> Result<bool, EngineError> {
        let ended = self.ask(&["image", "inspect", reference]).map_err(|source| self.failed(source))?;
        Ok(ended.success)
    }
}

/// Reports what is written to the engine.
struct Counted {
    pipe: process::Pipe,
    step: Box<dyn Step>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.pipe.write(bytes)?;
        self.step.advance(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}
