use std::collections::HashMap;
use std::io;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread::{self, ScopedJoinHandle};

use rayon::prelude::*;

use super::{BuildError, Job};
use crate::digest::Sha256;
use crate::layer::{self, Draft, DraftContent, Layer, LayerError, Segment};
use crate::lock::LockedPackage;
use crate::packages::Obtained;
use crate::rootfs::PackageId;
use crate::store::{Keeper, StoreError};
use crate::table::{Table, id};

/// How many layers are written at once. More would take more memory, and the blocks of each layer are compressed in
/// parallel.
const WRITERS: usize = 2;

id! {
    /// A layer to write.
    PendingId
}

/// A layer to write.
struct Pending<'a> {
    key: Sha256,
    title: &'a str,
    segments: &'a [Segment],
    packages: &'a Table<PackageId, Obtained<'a>>,
}

/// Where the layer of a draft comes from.
#[derive(Clone)]
enum Origin {
    Known(Layer),
    Pending(PendingId),
}

/// The layers of each job, bottom to top. Those that the store lacks are made, each once.
pub(super) fn make<'a>(
    drafted: &'a [(&'a Job<'a>, Vec<Draft>)],
    keeper: &Keeper,
) -> Result<Vec<(&'a Job<'a>, Vec<Layer>)>, BuildError> {
    let keyed: Vec<_> = drafted.par_iter().map(|(job, drafts)| (*job, keyed(job, drafts))).collect();
    let mut pending: Table<PendingId, Pending<'_>> = Table::new();
    let mut origins: HashMap<Sha256, Origin> = HashMap::new();
    let mut images = Vec::new();
    for (job, drafts) in keyed {
        let mut layers = Vec::new();
        for (key, draft) in drafts {
            let origin = origins.entry(key).or_insert_with(|| match find(job, key, draft, keeper) {
                Ok(layer) => Origin::Known(layer),
                Err(missing) => Origin::Pending(pending.push(missing)),
            });
            layers.push((origin.clone(), draft));
        }
        images.push((job, layers));
    }
    let written = write_all(&pending, keeper)?;
    let layer = |(origin, draft): (Origin, &Draft)| {
        let layer = match origin {
            Origin::Known(layer) => layer,
            Origin::Pending(id) => written[id].clone(),
        };
        // Another image's layer of the same bytes may be called otherwise.
        Layer { title: draft.title.clone(), ..layer }
    };
    Ok(images.into_iter().map(|(job, layers)| (job, layers.into_iter().map(layer).collect())).collect())
}

fn keyed<'a>(job: &Job<'_>, drafts: &'a [Draft]) -> Vec<(Sha256, &'a Draft)> {
    let digest = |package: PackageId| job.packages[package].package.data.sha256;
    drafts.iter().map(|draft| (draft.key(digest), draft)).collect()
}

/// A draft's existing layer, or what is needed to write it.
fn find<'a>(job: &'a Job<'_>, key: Sha256, draft: &'a Draft, keeper: &Keeper) -> Result<Layer, Pending<'a>> {
    match &draft.content {
        DraftContent::Member(package) => Ok(member(job.packages[*package].package)),
        DraftContent::Segments { segments, .. } => layer::recall(keeper.store(), key, &draft.title)
            .ok_or_else(|| Pending { key, title: &draft.title, segments, packages: &job.packages }),
    }
}

/// The data member of a package as a layer.
fn member(package: &LockedPackage) -> Layer {
    let title = format!("{}-{}", package.name, package.version);
    Layer { digest: package.data.sha256, size: package.data.size, diff_id: package.diff_id, title }
}

fn write_all(pending: &Table<PendingId, Pending<'_>>, keeper: &Keeper) -> Result<Table<PendingId, Layer>, BuildError> {
    let mut queue: Vec<(PendingId, &Pending<'_>)> = pending.iter().collect();
    // Write the largest first, so that none is left alone at the end. The queue is emptied from the back.
    queue.sort_by_cached_key(|(_, layer)| layer.segments.iter().map(Segment::content).sum::<u64>());
    let queue = Mutex::new(queue);
    let next = || queue.lock().map_or(None, |mut queue| queue.pop());
    let work = || {
        let mut done = Vec::new();
        while let Some((id, Pending { key, title, segments, packages })) = next() {
            done.push((id, layer::write(title, *key, segments, packages, keeper)?));
        }
        Ok(done)
    };
    let results: io::Result<Vec<Result<Vec<_>, LayerError>>> = thread::scope(|scope| {
        let writers = (0..WRITERS).map(|_| thread::Builder::new().spawn_scoped(scope, work));
        let writers = writers.collect::<io::Result<Vec<_>>>()?;
        let join = |writer: ScopedJoinHandle<'_, _>| writer.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok(writers.into_iter().map(join).collect())
    });
    let results = results.map_err(|source| StoreError::Thread { source })?;
    let mut written = results.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    written.sort_unstable_by_key(|(id, _)| *id);
    Ok(written.into_iter().map(|(_, layer)| layer).collect())
}
