//! What is told while a load runs and when it has ended. In come the library's events, out go lines on stderr: a
//! progress line on a terminal, plain log lines elsewhere, JSON objects for programs.

pub mod figures;
pub mod json;
pub mod pace;
pub mod plain;
pub mod server;
pub mod summary;
pub mod table;

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use lakehaul_fetch::FetchEvent;
use lakehaul_load::{Event, Observer, Progress};

use crate::args::Level;
use crate::resolve::{Form, Manner};
use crate::signals::Notice;
use pace::Pace;

/// How often the line on a terminal is drawn: often enough to look alive.
const EVERY_DRAW: Duration = Duration::from_millis(100);
/// How often a log line tells the pace: seldom enough that a night's load can be read in the morning.
const EVERY_LINE: Duration = Duration::from_secs(10);
/// How often a program hears of the pace.
const EVERY_OBJECT: Duration = Duration::from_secs(2);

/// Tells people or programs what the library tells it.
pub struct Reporter {
    voice: Voice,
    level: Level,
    /// What has been learnt of the run, once it is planned.
    watch: Mutex<Option<Watch>>,
    server: Mutex<Server>,
    err: Mutex<Box<dyn Write + Send>>,
}

/// How progress is told.
enum Voice {
    /// One line that is drawn again and again.
    Terminal(ProgressBar),
    /// Log lines with a time.
    Lines,
    /// JSON objects.
    Json,
}

#[derive(Clone)]
struct Watch {
    progress: Arc<Progress>,
    bytes: Option<u64>,
    /// When there was something to read first.
    since: Instant,
}

/// What a server is at, for the line on a terminal.
#[derive(Default)]
struct Server {
    state: Option<(String, Instant)>,
    /// It is told with the pace, not when it begins: there are thousands of its kind.
    paced: bool,
    /// What is ridden out, and until when.
    trouble: Option<(String, Instant)>,
}

impl Server {
    /// It is at this from now on, and with its likes since the first of them.
    fn begin(&mut self, state: String) {
        let since = self.state.as_ref().map_or_else(Instant::now, |(_, since)| *since);
        self.state = Some((state, since));
    }
}

impl Reporter {
    /// A reporter on stderr.
    pub fn to_stderr(manner: Manner) -> Reporter {
        let terminal = std::io::stderr().is_terminal();
        let voice = match manner.form {
            Form::Json => Voice::Json,
            Form::Text if terminal && !manner.quiet && manner.level >= Level::Info => {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                bar.set_style(style(UNMEASURED));
                Voice::Terminal(bar)
            }
            Form::Text => Voice::Lines,
        };
        Reporter::new(voice, manner.level, Box::new(std::io::stderr()))
    }

    fn new(voice: Voice, level: Level, err: Box<dyn Write + Send>) -> Reporter {
        Reporter { voice, level, watch: Mutex::default(), server: Mutex::default(), err: Mutex::new(err) }
    }

    /// Does `work` and tells its pace meanwhile; the progress line is gone when this returns.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let every = match self.voice {
            Voice::Terminal(_) => EVERY_DRAW,
            Voice::Lines => EVERY_LINE,
            Voice::Json => EVERY_OBJECT,
        };
        let (done, ended) = mpsc::channel::<()>();
        let result = std::thread::scope(|scope| {
            scope.spawn(move || {
                while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                    self.tell_pace();
                }
            });
            // Moved in, so that the other side wakes up at once even if the work panics.
            let done = done;
            let result = work();
            drop(done);
            result
        });
        if let Voice::Terminal(bar) = &self.voice {
            bar.finish_and_clear();
        }
        result
    }

    fn tell_pace(&self) {
        if self.level < Level::Info {
            return;
        }
        let pace = self.pace();
        match &self.voice {
            Voice::Terminal(bar) => {
                let server = self.server_line();
                let line = match pace {
                    Some(pace) if pace.files > 0 => {
                        bar.set_position(pace.bytes_read);
                        [Some(pace.line()), server].into_iter().flatten().collect::<Vec<_>>().join("; ")
                    }
                    _ => match server {
                        Some(server) => server,
                        None => return bar.tick(),
                    },
                };
                bar.set_message(line);
            }
            Voice::Lines => {
                // What a server says while there is nothing to read is a line of its own.
                if let Some(pace) = pace.filter(|pace| pace.files > 0) {
                    self.line(Level::Info, &pace.line());
                } else if let Some(asking) = self.asked() {
                    self.line(Level::Info, &asking);
                }
            }
            Voice::Json => {
                if let Some(pace) = pace {
                    self.write_line(&json::pace(&pace));
                }
            }
        }
    }

    fn pace(&self) -> Option<Pace> {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(Pace::read(&watch.progress, watch.bytes, watch.since.elapsed().as_secs_f64()))
    }

    /// `the server is exporting: 3 of 6 batches, for 2 min 5 s`, or what is ridden out.
    fn server_line(&self) -> Option<String> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = server.trouble.as_ref().filter(|(_, until)| Instant::now() < *until);
        match (trouble, &server.state) {
            (Some((trouble, _)), _) => Some(trouble.clone()),
            (None, Some((state, since))) => {
                Some(format!("{state}, for {}", figures::duration(since.elapsed().as_secs_f64())))
            }
            (None, None) => None,
        }
    }

    /// What is asked for, where that is told with the pace.
    fn asked(&self) -> Option<String> {
        let paced = self.server.lock().unwrap_or_else(PoisonError::into_inner).paced;
        if paced { self.server_line() } else { None }
    }

    fn begin(&self, watch: Watch) {
        if let (Voice::Terminal(bar), Some(bytes)) = (&self.voice, watch.bytes) {
            bar.set_length(bytes);
            bar.set_style(style(MEASURED));
        }
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = Some(watch);
    }

    /// A server lists files: the first time, reading begins.
    fn listed(&self) {
        if let Some(watch) = &mut *self.watch.lock().unwrap_or_else(PoisonError::into_inner)
            && watch.progress.bytes_read.load(Relaxed) == 0
        {
            watch.since = Instant::now();
        }
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        (server.state, server.paced) = (None, false);
    }

    /// A member of many is asked for.
    fn asking(&self, text: String) {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.paced = true;
        server.begin(text);
    }

    fn server_event(&self, event: &FetchEvent<'_>) {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match event {
            FetchEvent::StatusAnswered { running } => server::state(running),
            FetchEvent::Accepted { .. } => "the server has begun the export".to_owned(),
            FetchEvent::KickOffSent { .. } => "the server is asked for an export".to_owned(),
            FetchEvent::Retry { wait, why, .. } => {
                // The end of the line may not fit.
                let text = format!("retry in {}: {why}", figures::duration(wait.as_secs_f64()));
                server.trouble = Some((text, Instant::now() + *wait));
                return;
            }
            _ => return,
        };
        server.paced = false;
        server.begin(state);
    }

    /// All is read: the counters stand still from now on.
    fn end_of_pace(&self, now: &str) {
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Voice::Terminal(bar) = &self.voice {
            bar.set_style(style(UNMEASURED));
            bar.set_message(now.to_owned());
        }
    }

    /// Tells of a signal, from any thread.
    pub fn notice(&self, notice: Notice) {
        let message = notice.to_string();
        match (notice, &self.voice) {
            (Notice::Saving(signal), Voice::Json) if self.level >= Level::Warn => {
                self.write_line(&json::interrupted(signal, &message));
            }
            (Notice::Saving(_), _) => self.line(Level::Warn, &message),
            (Notice::Leaving { signal, again }, Voice::Json) => {
                self.write_line(&json::error(&message, Some(again), signal.exit()));
            }
            (Notice::Leaving { again, .. }, voice) => {
                let tell = || self.write_line(&format!("error: {message}\nhint: {again}"));
                match voice {
                    Voice::Terminal(bar) => bar.suspend(tell),
                    Voice::Lines | Voice::Json => tell(),
                }
            }
        }
    }

    /// A line for people: as it is on a terminal, with time and level in a log.
    fn line(&self, level: Level, text: &str) {
        if level > self.level {
            return;
        }
        match &self.voice {
            Voice::Terminal(bar) => bar.suspend(|| self.write_line(text)),
            Voice::Lines => self.write_line(&log_line(Timestamp::now(), level, text)),
            Voice::Json => {}
        }
    }

    /// Stderr may be gone; there is nobody left to tell.
    fn write_line(&self, line: &str) {
        let mut err = self.err.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(err, "{line}");
    }
}

impl Observer for Reporter {
    fn event(&self, event: Event<'_>) {
        let level = level(&event);
        match &event {
            Event::Planned { bytes, progress, .. } => {
                self.begin(Watch { progress: Arc::clone(progress), bytes: *bytes, since: Instant::now() });
            }
            Event::FilesListed { .. } | Event::PagesBegin => self.listed(),
            Event::MemberAsked { .. } => self.asking(sentence(&event)),
            Event::Server(event) => self.server_event(event),
            Event::Publishing { .. } => self.end_of_pace(&sentence(&event)),
            _ => {}
        }
        match &self.voice {
            Voice::Json if level <= self.level => self.write_line(&json::event(&event)),
            Voice::Json => {}
            // The moving line shows what a look at a lake is at, and says what milestones would.
            Voice::Terminal(bar) if level == Level::Debug && self.level < Level::Debug => {
                if self.pace().is_none() {
                    bar.set_message(sentence(&event));
                }
            }
            Voice::Terminal(_) if level == Level::Info => {}
            Voice::Terminal(_) | Voice::Lines => self.line(level, &sentence(&event)),
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("level", &self.level).finish_non_exhaustive()
    }
}

/// The progress line when there is an end to measure by, and when there is none.
const MEASURED: &str = "{bar:24} {wide_msg}";
const UNMEASURED: &str = "{spinner} {wide_msg}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are fixed").progress_chars("━╸─")
}

fn level(event: &Event<'_>) -> Level {
    match event {
        Event::Warning(_) => Level::Warn,
        Event::Server(event) => server::level(event),
        Event::FileStarted { .. }
        | Event::MemberAsked { .. }
        | Event::FileFinished { .. }
        | Event::PartVerified { .. }
        | Event::PartTakenOver { .. }
        | Event::StrayRemoved { .. }
        | Event::FileCompared { .. } => Level::Debug,
        // Milestones, and whatever is newer than this match.
        _ => Level::Info,
    }
}

fn sentence(event: &Event<'_>) -> String {
    let files = |n: usize| figures::counted(n as u64, "file", "files");
    match event {
        Event::Planned { run, files: n, bytes: Some(bytes), .. } => {
            format!("run {run}: {}, {} to read", files(*n), figures::bytes(*bytes))
        }
        Event::Planned { run, files: 0, .. } => format!("run {run}: waiting for the server's output files"),
        Event::Planned { run, files: n, bytes: None, .. } => format!("run {run}: {}", files(*n)),
        Event::FilesListed { files: n } => format!("the server lists {}", files(*n)),
        Event::PagesBegin => "the first page has come".to_owned(),
        Event::MemberAsked { line, of } => {
            format!("asking for member {} of {}", figures::count(*line), figures::count(*of))
        }
        Event::GroupStarted { group, number, of } => {
            format!("group {} of {}: {group}", figures::count(*number as u64), figures::count(*of as u64))
        }
        Event::Server(event) => server::sentence(event),
        Event::ExportDeleted { cancelled } => server::deleted(cancelled),
        Event::FileStarted { output_file, .. } => format!("{output_file}: begun"),
        Event::FileFinished { file } => format!(
            "{}: {}, {} resources, {} rejected",
            file.name,
            figures::counted(file.lines, "line", "lines"),
            figures::count(file.resources),
            figures::count(file.rejected)
        ),
        Event::PartVerified { path, bytes } => format!("{path}: verified ({})", figures::bytes(*bytes)),
        Event::PartTakenOver { path, bytes } => format!("{path}: taken over ({})", figures::bytes(*bytes)),
        Event::StrayRemoved { path, bytes } => format!("{}: removed ({})", plain::plain(path), figures::bytes(*bytes)),
        Event::FileCompared { output_file } => format!("{output_file}: compared"),
        Event::Publishing { parts, rows, bytes } => {
            format!(
                "publishing {} in {} ({})",
                figures::counted(*rows, "row", "rows"),
                files(*parts),
                figures::bytes(*bytes)
            )
        }
        Event::Warning(warning) => warning.to_string(),
        _ => "the load goes on".to_owned(),
    }
}

/// `2026-11-22T07:41:57Z warn  …`
fn log_line(now: Timestamp, level: Level, text: &str) -> String {
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warn ",
        Level::Info => "info ",
        Level::Debug => "debug",
    };
    format!("{} {level} {text}", now.strftime("%Y-%m-%dT%H:%M:%SZ"))
}

#[cfg(test)]
mod tests;
