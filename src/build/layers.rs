use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::{io, thread};

use rayon::prelude::*;

use super::{BuildError, Job};
use crate::digest::Sha256;
use crate::layer::{self, Draft, DraftContent, Layer, LayerError, Segment};
use crate::packages::Obtained;
use crate::store::Keeper;

/// Layers that are written at once. More would take more memory; the blocks of each are compressed in parallel.
const WRITERS: usize = 2;

/// A layer to write.
struct Pending<'a> {
    key: Sha256,
    title: &'a str,
    segments: &'a [Segment],
    packages: &'a [Obtained<'a>],
}

/// The layers of each image, bottom to top. Those that the store lacks are made, each once.
pub(super) fn make(jobs: &[Job<'_>], drafts: &[Vec<Draft>], keeper: &Keeper) -> Result<Vec<Vec<Layer>>, BuildError> {
    let keyed: Vec<_> = jobs.par_iter().zip(drafts).map(|(job, drafts)| keyed(job, drafts)).collect();
    let mut made: HashMap<Sha256, Option<Layer>> = HashMap::new();
    let mut pending = Vec::new();
    for (job, drafts) in jobs.iter().zip(&keyed) {
        for (key, draft) in drafts {
            made.entry(*key).or_insert_with(|| match &draft.content {
                DraftContent::Member(layer) => Some(layer.clone()),
                DraftContent::Segments { segments, .. } => {
                    layer::recall(keeper.store(), key, &draft.title).or_else(|| {
                        pending.push(Pending { key: *key, title: &draft.title, segments, packages: &job.packages });
                        None
                    })
                }
            });
        }
    }
    for (key, layer) in write_all(pending, keeper)? {
        made.insert(key, Some(layer));
    }
    let layer = |(key, draft): &(Sha256, &Draft)| {
        let missing = || LayerError::Io { title: draft.title.clone(), source: io::ErrorKind::NotFound.into() };
        made.get(key).cloned().flatten().ok_or_else(missing)
    };
    Ok(keyed.iter().map(|drafts| drafts.iter().map(layer).collect()).collect::<Result<_, _>>()?)
}

fn keyed<'a>(job: &Job<'_>, drafts: &'a [Draft]) -> Vec<(Sha256, &'a Draft)> {
    let digest = |package: usize| Some(job.packages.get(package)?.package.data.sha256);
    drafts.iter().map(|draft| (draft.key(digest), draft)).collect()
}

fn write_all(mut pending: Vec<Pending<'_>>, keeper: &Keeper) -> Result<Vec<(Sha256, Layer)>, BuildError> {
    // The largest first, so that none is left alone at the end; the queue is emptied from its back.
    pending.sort_by_cached_key(|layer| layer.segments.iter().map(Segment::content).sum::<u64>());
    let queue = Mutex::new(pending);
    let next = || queue.lock().map_or(None, |mut queue| queue.pop());
    let work = || {
        let mut done = Vec::new();
        while let Some(Pending { key, title, segments, packages }) = next() {
            done.push((key, layer::write(title, &key, segments, packages, keeper)?));
        }
        Ok(done)
    };
    let results: Vec<Result<Vec<_>, LayerError>> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(work)).collect();
        writers.into_iter().map(|writer| writer.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let written = results.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(written.into_iter().flatten().collect())
}
