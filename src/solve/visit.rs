//! The order in which apk visits names if nothing else determines it.
//!
//! apk 2 keeps names in a hash table and lists the packages that a package triggers in the table's order. The order of
//! installation depends on it: the 21 packages that `util-linux` pulls in by `install_if` are in neither index nor
//! alphabetical order. The table has 20,000 buckets, selected by the MurmurHash3 (x86, 32 bits, seed 5381) of the name;
//! in a bucket, the newest name comes first.

const BUCKETS: u32 = 20_000;
const SEED: u32 = 5381;

pub(super) fn bucket(name: &str) -> u32 {
    murmur3(name.as_bytes()) % BUCKETS
}

/// MurmurHash3_x86_32, as its author Austin Appleby defines it.
fn murmur3(bytes: &[u8]) -> u32 {
    let mix = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = SEED;
    let (blocks, tail) = bytes.as_chunks::<4>();
    for block in blocks {
        hash ^= mix(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let last = tail.iter().rev().fold(0, |last, byte| last << 8 | u32::from(*byte));
    hash ^= mix(last);
    // Only the low 32 bits of the length matter; names are short.
    hash ^= u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each is the name of a package that `util-linux` triggers, in the order in which apk installs them.
    #[test]
    fn orders_as_apk_does() {
        let names = ["cmd:dmesg", "runuser", "cmd:mount", "blkid", "cfdisk", "flock"];
        let buckets: Vec<u32> = names.into_iter().map(bucket).collect();
        assert!(buckets.is_sorted(), "{buckets:?}");
        assert_eq!(bucket("runuser"), 1255);
    }
}
