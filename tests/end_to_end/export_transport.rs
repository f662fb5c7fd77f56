//! What goes wrong between a payer and the lake, and what a lake looks like after it: whole, or as it was before with a
//! command that is worth running again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

mod broken_bodies;
mod versions;
mod out_of_order;
mod silence;
mod tokens;
mod expired_links;
mod afterwards;
mod listings;
mod taking_up;

/// Cases that wait more than they work run beside each other.
const AT_A_TIME: usize = 12;

/// Checks every case, several at a time, and names those that fail; what they found wrong is told before.
#[track_caller]
fn check_each<C: Sync>(cases: &[(String, C)], check: impl Fn(&C) + Sync) {
    let (queue, failed) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(cases.len()) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no case is checked under the lock").next();
                    let Some((name, case)) = next else { return };
                    if catch_unwind(AssertUnwindSafe(|| check(case))).is_err() {
                        failed.lock().expect("no case is checked under the lock").push(name.as_str());
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no case is checked under the lock");
    assert!(failed.is_empty(), "{} of {} cases fail: {failed:#?}", failed.len(), cases.len());
}
