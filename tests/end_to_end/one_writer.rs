//! Two processes that write one lake: one does, the other leaves with 9 before it has asked anybody for anything.

use std::process::{Child, Stdio};
use std::time::Duration;

use lakehaul_sim::members::{Members, MembersOptions, Split};
use lakehaul_sim::{Fault, Target, When};

use crate::lakehaul::{Outcome, outcome};
use crate::payer::Payer;

#[test]
fn two_exports_at_once() {
    let members = Members::new(MembersOptions { members: 10, split: Split::Files(2), ..MembersOptions::default() });
    for _ in 0..3 {
        // Slow enough that the second one comes while the first is at it, whichever that is.
        let payer = Payer::smart(|scenario| {
            let slow = Fault::stall_headers(Duration::from_millis(300));
            scenario.members(&members).running(1).fault(Target::AnyFile, When::First(2), slow)
        });
        let start = || -> Child {
            let mut command = payer.command(&["export"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
        };
        let outcomes = [start(), start()].map(|child| outcome(child.wait_with_output().expect("the binary ends")));
        let ended = |code: i32| -> Option<&Outcome> { outcomes.iter().find(|outcome| outcome.code == Some(code)) };
        let (Some(whole), Some(held)) = (ended(0), ended(9)) else { panic!("{} {}", outcomes[0], outcomes[1]) };
        held.tells("another run holds the lake").tells("run the command again when the other one has ended");
        payer.is_whole(whole);

        let asked = payer.sim.log().len();
        let again = payer.export(&[]);
        again.exits_with(0).prints("has already finished");
        assert_eq!(payer.sim.log().len(), asked, "{again}");
    }
}
