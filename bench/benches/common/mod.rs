//! How long every bench takes: short, so that all of them together are a few minutes. `--measurement-time` and
//! `--sample-size` on the command line give more where a figure is to be believed.

use criterion::Criterion;
use std::time::Duration;

/// Few samples, little time.
pub fn short() -> Criterion {
    Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
}
