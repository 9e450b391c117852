//! Every checker: facts made by hand that it fires at, and facts next to them that it does not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod accountability;
mod chain;
mod liveness;
mod marks;
mod safety;
mod stage;

use outrider_sim::checkers::{CHECKERS, class_of, id_of};
use outrider_sim::fact::{Class, Violation};
use stage::Stage;
use std::collections::BTreeSet;

#[test]
fn every_checker_has_one_id_one_name_and_a_class() {
    let ids: BTreeSet<&str> = CHECKERS.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids.len(), CHECKERS.len());
    for (id, class, what) in CHECKERS {
        let name = what.split(':').next().unwrap();
        assert_eq!(id_of(name), Some(*id));
        assert_eq!(id_of(id), Some(*id));
        assert_eq!(class_of(id), *class);
    }
    assert_eq!(id_of("agreement"), Some("S1"));
    assert_eq!(id_of("nothing"), None);
    assert_eq!(class_of("S11"), Class::Accountability);
}

#[test]
fn a_run_comes_out_as_expected_if_the_named_checker_fires_and_no_other() {
    let mut stage = Stage::new(&[]);
    let violation = |checker| {
        Err(Violation {
            checker,
            class: class_of(checker),
            at: 0,
            what: String::new(),
        })
    };
    let honest = stage.checkers();
    assert!(honest.violated_as_expected(&Ok(())));
    assert!(!honest.violated_as_expected(&violation("S1")));
    stage.scenario.expect.violates = Some("agreement".to_owned());
    let forked = stage.checkers();
    assert!(forked.violated_as_expected(&violation("S1")));
    assert!(!forked.violated_as_expected(&violation("S11")));
    assert!(!forked.violated_as_expected(&Ok(())));
}
