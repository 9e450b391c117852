//! Writes the seeds of a target, one a file: `fuzz-seeds TARGET FOLDER`.

use outrider_fuzz::Target;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, folder] = arguments.as_slice() else {
        eprintln!("usage: fuzz-seeds TARGET FOLDER");
        return ExitCode::from(2);
    };
    let Some(target) = Target::named(name) else {
        eprintln!("no target is called {name}; there are: {}", Target::names());
        return ExitCode::from(2);
    };
    match write(&target, Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write seeds into {folder}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(target: &Target, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (number, seed) in (target.seeds)().iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number:03}")), seed)?;
    }
    Ok(())
}
