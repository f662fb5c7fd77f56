//! SIGINT and SIGTERM while a command writes a lake. In comes a signal, out goes the wish to leave, to whoever does the
//! work; the process is out within two seconds, whatever the work is at. A second signal ends it at once.
//!
//! To end a process at any moment is safe: what is on disk is what a kill would have left, and the same command goes on
//! from there. Other commands are not touched; neither are systems that have no such signals.

use std::fmt;
use std::sync::{Arc, OnceLock};

use lakehaul_load::{Interrupt, LoadError};

use crate::exit::Exit;
use crate::failure::Failure;

/// A signal that asks a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: a scheduler, a container that is stopped.
    Terminate,
}

/// What the same command comes to when it is run again: the hint of an interrupted one.
pub type Again = &'static str;

/// What there is to tell between a signal and the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The first signal has come.
    Saving(Signal),
    /// The work has not ended in time: the process leaves now.
    Leaving {
        /// Why.
        signal: Signal,
        /// What to do next.
        again: Again,
    },
}

/// A watch over the signals, from when it is made until the process ends.
#[derive(Debug)]
pub struct Watch {
    came: Arc<OnceLock<Signal>>,
    again: Again,
}

impl Watch {
    /// From now on a first signal sets `interrupt` and is told. Where signals cannot be caught, they end the process as
    /// they always do.
    pub fn new(interrupt: &Interrupt, again: Again, tell: impl Fn(Notice) + Send + 'static) -> Watch {
        let came = Arc::default();
        #[cfg(unix)]
        // An error leaves the signals what they were.
        let _ = unix::catch(interrupt.clone(), Arc::clone(&came), again, tell);
        #[cfg(not(unix))]
        let _ = (interrupt, tell);
        Watch { came, again }
    }

    /// For `map_err`: what ended the work, a signal among it. `doing` fits after "failed to".
    pub fn failure(&self, doing: impl Into<String>) -> impl FnOnce(LoadError) -> Failure {
        move |error| match (error, self.came.get()) {
            (LoadError::Interrupted, Some(&signal)) => Failure::Interrupted { signal, again: self.again },
            (error, _) => Failure::to(doing)(error),
        }
    }
}

impl Signal {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
        }
    }

    /// The code of a command that it has ended: 128 and the signal's number, as shells have it.
    pub fn exit(self) -> Exit {
        match self {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Saving(Signal::Interrupt) => {
                f.write_str("interrupted: saving the state; a second Ctrl-C leaves at once")
            }
            Notice::Saving(Signal::Terminate) => {
                f.write_str("terminated: saving the state; a second signal leaves at once")
            }
            Notice::Leaving { signal, .. } => {
                write!(f, "{} ended the command before all was saved; what was saved until then is kept", signal.name())
            }
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, OnceLock, mpsc};
    use std::time::Duration;

    use lakehaul_load::Interrupt;
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::exit;

    use super::{Again, Notice, Signal};

    /// How long the work may take to save its state: what is left of two seconds is for the way out.
    const GRACE: Duration = Duration::from_millis(1800);

    pub(super) fn catch(
        interrupt: Interrupt,
        came: Arc<OnceLock<Signal>>,
        again: Again,
        tell: impl Fn(Notice) + Send + 'static,
    ) -> io::Result<()> {
        let armed = Arc::new(AtomicBool::new(false));
        for (number, signal) in [(SIGINT, Signal::Interrupt), (SIGTERM, Signal::Terminate)] {
            // In this order: the first signal finds it unarmed and arms it. Both happen in the signal's own context, so
            // that a second one leaves even where every thread hangs.
            let code = i32::from(signal.exit().code());
            flag::register_conditional_shutdown(number, code, Arc::clone(&armed))?;
            flag::register(number, Arc::clone(&armed))?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let watch = move || {
            let Some(number) = signals.forever().next() else { return };
            let signal = if number == SIGINT { Signal::Interrupt } else { Signal::Terminate };
            // Before the work hears of it, for it may end at once.
            let signal = *came.get_or_init(|| signal);
            interrupt.set();
            tell(Notice::Saving(signal));
            let (_open, never) = mpsc::channel::<()>();
            let _ = never.recv_timeout(GRACE);
            tell(Notice::Leaving { signal, again });
            exit(i32::from(signal.exit().code()));
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_says_how_an_interrupted_command_ends() {
        #[track_caller]
        fn check(came: Option<Signal>, error: LoadError, code: u8, hint: Option<&str>) {
            let watch = Watch { came: Arc::default(), again: "run it again" };
            if let Some(signal) = came {
                watch.came.set(signal).expect("only once");
            }
            let failure = watch.failure("load")(error);
            assert_eq!((failure.exit().code(), failure.hint().as_deref()), (code, hint), "{failure}");
        }
        let held = || LoadError::LakeHeld { lake: "l".to_owned() };
        check(Some(Signal::Interrupt), LoadError::Interrupted, 130, Some("run it again"));
        check(Some(Signal::Terminate), LoadError::Interrupted, 143, Some("run it again"));
        // What was wrong before is told, whatever came then.
        check(Some(Signal::Terminate), held(), 9, Some("run the command again when the other one has ended"));
        check(None, held(), 9, Some("run the command again when the other one has ended"));
    }

    #[test]
    fn what_is_told() {
        let notices = [
            Notice::Saving(Signal::Interrupt),
            Notice::Saving(Signal::Terminate),
            Notice::Leaving { signal: Signal::Terminate, again: "run it again" },
        ];
        let told: Vec<String> = notices.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
