//! Panics of members are findings (R2): they are caught, kept quiet on standard error, and told with their place.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Whether a world runs on this thread now, and where its last panic was.
    static WATCHED: RefCell<(u32, Option<String>)> = const { RefCell::new((0, None)) };
}

static HOOK: Once = Once::new();

/// Run a piece of a world. A panic in it is an error with its message and place, and prints nothing.
pub(super) fn watched(work: impl FnOnce()) -> Result<(), String> {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string);
            let watched = WATCHED.with_borrow_mut(|(depth, last)| {
                last.clone_from(&place);
                *depth > 0
            });
            if !watched {
                before(info);
            }
        }));
    });
    WATCHED.with_borrow_mut(|(depth, _)| *depth += 1);
    let ended = catch_unwind(AssertUnwindSafe(work));
    let place = WATCHED.with_borrow_mut(|(depth, last)| {
        *depth -= 1;
        last.take()
    });
    ended.map_err(|panic| {
        let place = place.unwrap_or_else(|| "an unknown place".to_owned());
        format!("{} ({place})", words(&*panic))
    })
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}
