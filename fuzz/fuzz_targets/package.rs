#![no_main]

use mailimg_fuzz::package::TARGET;

libfuzzer_sys::fuzz_target!(init: mailimg_fuzz::begin(&TARGET), |input: &[u8]| mailimg_fuzz::run(&TARGET, input));
