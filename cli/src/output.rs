//! Printing that does not panic: a reader such as `head` may close the pipe at any time.

use std::fmt;
use std::io::{self, Write as _};

/// Print a line to standard output.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::output::line(std::format_args!($($argument)*))
    };
}

/// Print a line to standard error.
macro_rules! tell {
    ($($argument:tt)*) => {
        $crate::output::warning(std::format_args!($($argument)*))
    };
}

pub(crate) use {say, tell};

/// A line to standard output. A reader that is gone needs no more; any other failure is said on standard error.
pub fn line(text: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        warning(format_args!(
            "outrider: cannot write to standard output: {error}"
        ));
    }
}

/// A line to standard error. If that fails there is nobody left to tell.
pub fn warning(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
