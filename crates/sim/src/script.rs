//! The rules in force, and how often each has been met.
//!
//! A request goes past all rules, so that each counts what is its own; the first that fires decides.

use std::collections::HashMap;

use crate::fault::{Fault, Rule, Target, When};
use crate::route::Endpoint;

/// The script while it runs.
pub(crate) struct Script {
    seed: u64,
    running: Vec<Running>,
}

struct Running {
    rule: Rule,
    /// Requests so far; by output file where the rule counts files one by one.
    met: HashMap<Option<usize>, u32>,
    dice: fastrand::Rng,
}

impl Script {
    pub(crate) fn new(rules: Vec<Rule>, seed: u64) -> Script {
        let mut script = Script { seed, running: Vec::new() };
        for rule in rules {
            script.add(rule);
        }
        script
    }

    /// Its count begins now.
    pub(crate) fn add(&mut self, rule: Rule) {
        let place = self.running.len() as u64;
        let dice = fastrand::Rng::with_seed(self.seed ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        self.running.push(Running { rule, met: HashMap::new(), dice });
    }

    /// What happens to this request. `name` is the output file's.
    pub(crate) fn meet(&mut self, endpoint: Endpoint, name: Option<&str>) -> Option<Fault> {
        let mut decided = None;
        for running in &mut self.running {
            if running.meet(endpoint, name) && decided.is_none() {
                decided = Some(running.rule.fault.clone());
            }
        }
        decided
    }
}

impl Running {
    fn meet(&mut self, endpoint: Endpoint, name: Option<&str>) -> bool {
        let file = if let Endpoint::File(index) = endpoint { Some(index) } else { None };
        let (concerned, counter) = match &self.rule.target {
            Target::One(one) => (*one == endpoint, None),
            Target::Named(wanted) => (name == Some(wanted), None),
            Target::AnyFile => (file.is_some(), None),
            Target::EachFile => (file.is_some(), file),
            Target::Any => (endpoint != Endpoint::Unknown, None),
        };
        if !concerned {
            return false;
        }
        let met = self.met.entry(counter).or_default();
        *met += 1;
        match self.rule.when {
            When::Always => true,
            When::First(n) => *met <= n,
            When::Nth(n) => *met == n,
            When::From(n) => *met >= n,
            When::Chance(probability) => self.dice.f64() < probability,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [Endpoint; 6] = [
        Endpoint::File(0),
        Endpoint::File(1),
        Endpoint::File(0),
        Endpoint::Status,
        Endpoint::File(1),
        Endpoint::File(0),
    ];

    #[track_caller]
    fn check(target: impl Into<Target>, when: When, fires: [bool; 6]) {
        let mut script = Script::new(vec![Rule::new(target, when, Fault::status(503))], 1);
        let met = FILES.map(|endpoint| {
            let name = if let Endpoint::File(index) = endpoint { Some(["a", "b"][index]) } else { None };
            script.meet(endpoint, name).is_some()
        });
        assert_eq!(met, fires);
    }

    #[test]
    fn a_rule_counts_what_is_its_own() {
        check(Endpoint::File(0), When::First(2), [true, false, true, false, false, false]);
        check("b", When::Nth(2), [false, false, false, false, true, false]);
        check(Target::AnyFile, When::First(2), [true, true, false, false, false, false]);
        check(Target::EachFile, When::First(1), [true, true, false, false, false, false]);
        check(Target::EachFile, When::From(2), [false, false, true, false, true, true]);
        check(Target::Any, When::Nth(4), [false, false, false, true, false, false]);
        check(Endpoint::Status, When::Always, [false, false, false, true, false, false]);
        check(Endpoint::Token, When::Always, [false; 6]);
        check(Target::AnyFile, When::Chance(0.0), [false; 6]);
        check(Target::Any, When::Chance(1.0), [true; 6]);
    }

    #[test]
    fn the_first_rule_that_fires_decides_and_all_count() {
        let rules = vec![
            Rule::new(Endpoint::Status, When::First(1), Fault::status(500)),
            Rule::new(Endpoint::Status, When::First(2), Fault::reset_at(0)),
        ];
        let mut script = Script::new(rules, 1);
        assert!(script.meet(Endpoint::Status, None).unwrap().instead.is_some());
        assert!(script.meet(Endpoint::Status, None).unwrap().delivery.cut.is_some());
        assert!(script.meet(Endpoint::Status, None).is_none());
    }

    #[test]
    fn chances_are_the_seeds() {
        let draw = |seed| {
            let rule = Rule::new(Endpoint::Status, When::Chance(0.5), Fault::status(503));
            let mut script = Script::new(vec![rule], seed);
            (0..64).map(|_| script.meet(Endpoint::Status, None).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let fired = draw(7).iter().filter(|fired| **fired).count();
        assert!((16..48).contains(&fired), "{fired} of 64");
    }
}
