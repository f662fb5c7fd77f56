//! What was billed: the lines that a claim asks money for and that its explanation of benefit answers.

use super::calendar::DAY;
use super::chance::{Stream, rng};
use super::codes::{Code, DENTAL, PACKAGES, SERVICES, SUPPLIES};
use super::world::{Episode, Kind, World};

/// One line of a claim.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charge {
    pub(crate) service: Code,
    pub(crate) units: i64,
    pub(crate) unit_cents: i64,
    /// From the episode's begin.
    pub(crate) day: i64,
}

impl Charge {
    pub(crate) fn cents(&self) -> i64 {
        self.units * self.unit_cents
    }
}

/// The lines of one claim: 1 to 20.
pub(crate) struct Charges {
    pub(crate) kind: Kind,
    /// When the first service began and the last one ended, in seconds.
    pub(crate) begin: i64,
    pub(crate) end: i64,
    lines: [Charge; 20],
    count: usize,
}

impl Charges {
    /// What the `place`th claim of an episode bills.
    pub(crate) fn of(world: &World, episode: &Episode, place: u64) -> Charges {
        let kind = world.kind(episode, place);
        let mut rng = rng(world.seed, Stream::Charges, place, episode.index);
        let (count, days) = match kind {
            Kind::Inpatient => (rng.usize(4..=20), episode.days),
            Kind::Outpatient => (rng.usize(1..=9), 1),
            Kind::Professional => (rng.usize(1..=4), 1),
            Kind::Pharmacy => (1, 1),
            Kind::Oral => (rng.usize(1..=5), 1),
        };
        let none = Charge { service: SERVICES.at(0), units: 1, unit_cents: 0, day: 0 };
        let mut lines = [none; 20];
        for line in &mut lines[..count] {
            let list = match kind {
                Kind::Pharmacy => &PACKAGES,
                Kind::Oral => &DENTAL,
                _ if rng.u32(..4) == 0 => &SUPPLIES,
                _ => &SERVICES,
            };
            let service =
                if kind == Kind::Pharmacy && place == 3 { list.at(episode.drug) } else { list.at(rng.u64(..)) };
            let units = match rng.u32(..8) {
                0 => rng.i64(2..8),
                _ => 1,
            };
            // Many small amounts and a few large ones; now and then a round one.
            let scale = 10i64.pow(rng.u32(3..6));
            let unit_cents = if rng.u32(..6) == 0 { scale * 10 } else { scale + rng.i64(0..scale * 5) };
            *line = Charge { service, units, unit_cents, day: rng.i64(0..days) };
        }
        // Claims of one episode follow each other.
        let begin = episode.begin + place as i64 * 6 * 3600;
        Charges { kind, begin, end: begin + (days - 1) * DAY + 5400, lines, count }
    }

    /// In the order they were billed.
    pub(crate) fn lines(&self) -> &[Charge] {
        &self.lines[..self.count]
    }

    /// What was asked for, in all.
    pub(crate) fn cents(&self) -> i64 {
        self.lines().iter().map(Charge::cents).sum()
    }
}
