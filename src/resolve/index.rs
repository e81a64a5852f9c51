use std::io::Read as _;

use super::ResolveError;
use crate::apk::index;
use crate::fetch::{FetchError, Location, Request, Size, Source};
use crate::packages::Fetching;
use crate::progress::Total;

/// The bytes of a repository's index, unverified, and where they are from. Not for use inside the runtime.
pub(super) fn fetch_index(
    source: &Source,
    arch: &str,
    fetching: Fetching<'_>,
) -> Result<(Box<Location>, Vec<u8>), ResolveError> {
    let location = source.file(arch, "APKINDEX.tar.gz");
    let name = format!("index of {source}");
    let request = Request { name, location, size: Size::AtMost(index::FILE_LIMIT), digest: None };
    let step = fetching.progress.start("Fetching indexes", Total::Unknown);
    let file = fetching.runtime.block_on(fetching.client.open(&request, &*step))?;
    let (mut bytes, location) = (Vec::new(), Box::new(request.location));
    match file.take(index::FILE_LIMIT).read_to_end(&mut bytes) {
        Ok(_) => Ok((location, bytes)),
        Err(source) => Err(FetchError::File { location, source }.into()),
    }
}
