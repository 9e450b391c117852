//! Every `select!` is `biased;`: an unbiased one polls in random order, and the simulator could not repeat a run.

use super::Fault;
use super::source::{self, Parts};
use super::tree::File;

/// Calls of `select!` that do not begin with `biased;`.
pub fn check(files: &[File]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in files {
        let code = Parts::of(&file.text).code;
        for (at, arguments) in source::find_macro(&code, "select") {
            if !is_biased(&code[arguments..]) {
                let line = source::line_of(&code, at);
                faults.push(Fault::at_line(
                    &file.path,
                    line,
                    "select! must begin with `biased;`",
                ));
            }
        }
    }
    faults
}

fn is_biased(arguments: &str) -> bool {
    let inside = arguments.trim_start().strip_prefix(['{', '(', '[']);
    let after = inside.and_then(|inside| inside.trim_start().strip_prefix("biased"));
    after.is_some_and(|after| after.trim_start().starts_with(';'))
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    fn faults(text: &str) -> usize {
        check(&[file("node/src/driver.rs", text)]).len()
    }

    #[test]
    fn biased_selects_are_allowed() {
        assert_eq!(
            faults("tokio::select! {\n    // order: stop first\n    biased;\n    a = b => {} }"),
            0
        );
        assert_eq!(faults("select!(biased; a = b => {})"), 0);
        assert_eq!(faults("select_biased! { a => {} } // select! { }"), 0);
    }

    #[test]
    fn unbiased_selects_are_faults() {
        assert_eq!(faults("tokio::select! { a = b => {} }"), 1);
        assert_eq!(faults("select! { biased_input = b => {} }"), 1);
        assert_eq!(
            faults("select! { a = b => { biased; } }\nselect! { // biased;\n a = b => {} }"),
            2
        );
    }
}
