//! From a running export to the schedule: asks for its status, and streams every output file that it lists, those that
//! are listed before the export is done too.
//!
//! In goes a [`Source`], out come files on a [`Schedule`] whose bytes arrive through pipes, each from the byte on that an
//! earlier process has not done. What ends the run for good stops the workers; what concerns one file only ends that file.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use lakehaul_fetch::{
    Client, ErrorKind as FetchErrorKind, FetchError, FileStream, LengthProof, Manifest, OutputFile as ManifestFile,
    PollingLocation, Role as ManifestRole, Status,
};
use rayon::ThreadPool;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::names::{FileKey, Names, keys};
use crate::begun::{Begun, BegunFiles, Start};
use crate::block_hash::BLOCK_BYTES;
use crate::budget::Network;
use crate::inputs::{Place, PlannedFile, declared_by_name};
use crate::journal::record::Version;
use crate::journal::replay::BegunFile;
use crate::manifest::Role;
use crate::network::{Arrivals, in_time, joined};
use crate::pipe::{Pipe, PipeEnd};
use crate::plan::Plan;
use crate::work::StagedWork;
use crate::{Clock, Event, LoadError, Observer, Warning};

/// How often in a row a file's link is renewed without a byte coming of it.
const RENEWALS_MAX: u32 = 3;

/// Where an export's output files are told.
#[derive(Clone)]
pub(super) enum Source {
    /// The server is asked until it has them.
    Polling(PollingLocation),
    /// The server answered the kick-off with the manifest itself.
    Manifest(Box<Manifest>),
}

/// One attempt at an export.
pub(super) struct Feed {
    shared: Arc<Shared>,
}

/// What the tasks of an attempt share.
struct Shared {
    client: Client,
    source: Source,
    network: Network,
    /// What an earlier process has done.
    begun: Arc<BegunFiles>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    arrivals: Arc<Arrivals>,
    /// As many as there may be files with bytes in memory.
    slots: Arc<Semaphore>,
    /// The newest manifest that was asked for because links had expired. Held while it is asked for.
    renewed: Mutex<Renewed>,
}

#[derive(Default)]
struct Renewed {
    /// How often links were renewed.
    generation: u64,
    files: HashMap<FileKey, ManifestFile>,
}

/// A file that the server lists.
struct Listed {
    at: usize,
    name: String,
    key: FileKey,
    file: ManifestFile,
    organized: bool,
    transaction_time: Option<String>,
}

/// The files so far.
struct List {
    names: Names,
    known: HashSet<FileKey>,
}

impl Feed {
    pub(super) fn new(
        client: Client,
        source: Source,
        network: Network,
        begun: Arc<BegunFiles>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Feed {
        let shared = Shared {
            client,
            source,
            network,
            begun,
            clock,
            observer,
            arrivals: Arc::default(),
            slots: Arc::new(Semaphore::new(network.files)),
            renewed: Mutex::default(),
        };
        Feed { shared: Arc::new(shared) }
    }

    /// Brings the export through the workers; the work it comes to, and the manifest.
    pub(super) fn haul(
        self,
        plan: &Plan,
        begun: Begun,
        pool: &ThreadPool,
        max_duration: Option<Duration>,
        runtime: &Runtime,
    ) -> Result<(StagedWork, Manifest), LoadError> {
        let shared = self.shared;
        let (arrivals, observer) = (Arc::clone(&shared.arrivals), Arc::clone(&shared.observer));
        let feed = async move { in_time(&*shared.clock, max_duration, shared.feed()).await };
        arrivals.haul(feed, plan, begun, pool, runtime, &*observer)
    }
}

impl Shared {
    /// Lists and downloads until the export is done and every file has ended. Dropping it stops the downloads.
    async fn feed(self: &Arc<Self>) -> Result<Manifest, LoadError> {
        let mut downloads = JoinSet::new();
        let mut list = List { names: Names::given(self.begun.names()), known: HashSet::new() };
        let manifest = match &self.source {
            Source::Manifest(manifest) => Manifest::clone(manifest),
            Source::Polling(location) => self.wait(location, &mut list, &mut downloads).await?,
        };
        self.begin(&manifest, &mut list, &mut downloads);
        self.all_early_files_are_in(&manifest, &list)?;
        for text in &manifest.warnings {
            self.observer.event(Event::Warning(Warning::Server(text.clone())));
        }
        while let Some(ended) = downloads.join_next().await {
            joined(ended)?;
        }
        Ok(manifest)
    }

    /// Asks for the status until the export is done; files that are listed before are begun.
    async fn wait(
        self: &Arc<Self>,
        location: &PollingLocation,
        list: &mut List,
        downloads: &mut JoinSet<Result<(), LoadError>>,
    ) -> Result<Manifest, LoadError> {
        let mut poller = self.client.poll(location.clone());
        loop {
            let answer = {
                // One request goes on while downloads end beside it.
                let mut status = pin!(poller.next());
                loop {
                    tokio::select! {
                        answer = &mut status => break answer?,
                        Some(ended) = downloads.join_next() => joined(ended)?,
                    }
                }
            };
            match answer {
                Status::Complete(manifest) => return Ok(manifest),
                Status::Running(running) => {
                    if let Some(manifest) = &running.so_far {
                        self.begin(manifest, list, downloads);
                    }
                }
            }
        }
    }

    /// Starts the download of what a manifest lists and is not known yet, the largest first.
    fn begin(self: &Arc<Self>, manifest: &Manifest, list: &mut List, downloads: &mut JoinSet<Result<(), LoadError>>) {
        let mut new = Vec::new();
        for (file, key) in manifest.files.iter().zip(keys(manifest)) {
            if !list.known.insert(key.clone()) {
                continue;
            }
            new.push(Listed {
                at: list.known.len() - 1,
                name: list.names.name(&key.stored(), file),
                key,
                file: file.clone(),
                organized: manifest.organized && file.role == ManifestRole::Output,
                transaction_time: manifest.transaction_time.clone(),
            });
        }
        if new.is_empty() {
            return;
        }
        self.arrivals.progress.files.store(list.known.len() as u64, Relaxed);
        self.observer.event(Event::FilesListed { files: list.known.len() });
        new.sort_by_key(|listed| std::cmp::Reverse((listed.file.file_size, listed.file.count)));
        for listed in new {
            let shared = Arc::clone(self);
            downloads.spawn(async move { shared.download(listed).await });
        }
    }

    /// A file that was begun, early or by an earlier process, and is not in the manifest is no part of the export: what
    /// came of it has to go.
    fn all_early_files_are_in(&self, manifest: &Manifest, list: &List) -> Result<(), LoadError> {
        let listed: HashSet<String> = keys(manifest).iter().map(FileKey::stored).collect();
        let begun = list.known.iter().map(FileKey::stored).chain(self.begun.with_rows().map(str::to_owned));
        let keys: Vec<String> = begun.filter(|key| !listed.contains(key)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let why = "the manifest lacks a file that the server had listed before".to_owned();
        Err(LoadError::Changed { keys, why })
    }

    /// Streams one file, or what is still to be done of it. Its bytes are on the schedule from the first one on, or from its
    /// end if it has none.
    async fn download(&self, listed: Listed) -> Result<(), LoadError> {
        let stored = listed.key.stored();
        let begun = match self.begun.start(&stored, &listed.name) {
            Start::Anew => None,
            Start::Within(begun) => Some(begun),
            Start::Done(begun, end) => {
                let file = planned(&listed, Version::Unknown, Place::Nowhere);
                self.arrivals.schedule.add_done(
                    listed.at,
                    file,
                    (begun, &end),
                    &self.arrivals.progress,
                    &*self.observer,
                );
                return Ok(());
            }
        };
        let streamed = self.stream(&listed, begun).await;
        streamed.map_err(|error| match error.kind() {
            FetchErrorKind::FileChanged => {
                LoadError::Changed { keys: vec![stored], why: format!("{}: {error}", listed.name) }
            }
            _ => error.into(),
        })
    }

    async fn stream(&self, listed: &Listed, begun: Option<BegunFile>) -> Result<(), FetchError> {
        let mut slot = self.slots.clone().acquire_owned().await.ok();
        let mut stream = match &begun {
            Some(BegunFile { version: Version::Remote(version), .. }) => {
                let position = begun.as_ref().map_or(0, |begun| self.begun.first_block(begun)) * BLOCK_BYTES;
                self.client.file_from(&listed.file, version, position)
            }
            _ => self.client.file(&listed.file),
        };
        let mut pipe = begun.map_or(Arriving::New, |begun| Arriving::Begun(Box::new(begun)));
        let (mut generation, mut renewals) = (0, 0);
        loop {
            let end = match stream.next().await {
                Ok(Some(bytes)) => {
                    renewals = 0;
                    self.pipe(&mut pipe, &mut slot, listed, &stream).push(bytes).await;
                    continue;
                }
                Ok(None) if stream.proof() == LengthProof::Unverified => PipeEnd::UnverifiedLength,
                Ok(None) => PipeEnd::Whole { stated_bytes: stream.stated_bytes() },
                Err(error) if error.kind() == FetchErrorKind::FileExpired => {
                    renewals += 1;
                    let renewed =
                        if renewals > RENEWALS_MAX { None } else { self.renew(&listed.key, &mut generation).await? };
                    match renewed {
                        Some(file) => {
                            stream.move_to(&file);
                            continue;
                        }
                        None => PipeEnd::Lost(error.to_string()),
                    }
                }
                Err(error) => return Err(error),
            };
            self.pipe(&mut pipe, &mut slot, listed, &stream).end(end);
            return Ok(());
        }
    }

    /// The file's pipe; with it the file comes onto the schedule.
    fn pipe<'p>(
        &self,
        arriving: &'p mut Arriving,
        slot: &mut Option<OwnedSemaphorePermit>,
        listed: &Listed,
        stream: &FileStream,
    ) -> &'p Arc<Pipe> {
        let begun = match arriving {
            Arriving::Through(_) | Arriving::New => None,
            Arriving::Begun(begun) => Some(std::mem::take(&mut **begun)),
        };
        if !matches!(arriving, Arriving::Through(_)) {
            let bell = Arc::clone(self.arrivals.schedule.bell());
            let pipe = Arc::new(Pipe::new(self.network.pipe_bytes, bell, slot.take(), stream.start()));
            let version = stream.version().map_or(Version::Unknown, Version::Remote);
            self.arrivals.schedule.add(listed.at, planned(listed, version, Place::Remote(Arc::clone(&pipe))), begun);
            *arriving = Arriving::Through(pipe);
        }
        let Arriving::Through(pipe) = arriving else { unreachable!("it was made a moment ago") };
        pipe
    }

    /// The file under a newer link than that of `generation`, from a manifest that is asked for once for all files. None:
    /// the server has none.
    async fn renew(&self, key: &FileKey, generation: &mut u64) -> Result<Option<ManifestFile>, FetchError> {
        let Source::Polling(location) = &self.source else { return Ok(None) };
        let mut renewed = self.renewed.lock().await;
        if renewed.generation == *generation {
            // A new poller's first request goes out at once.
            let manifest = match self.client.poll(location.clone()).next().await? {
                Status::Complete(manifest) => Some(manifest),
                Status::Running(running) => running.so_far,
            };
            renewed.generation += 1;
            renewed.files =
                manifest.map(|manifest| keys(&manifest).into_iter().zip(manifest.files).collect()).unwrap_or_default();
        }
        *generation = renewed.generation;
        Ok(renewed.files.get(key).cloned())
    }
}

/// A file whose bytes are asked for.
enum Arriving {
    /// Nothing has come yet.
    New,
    /// Nothing has come yet, but an earlier process has done some of it.
    Begun(Box<BegunFile>),
    Through(Arc<Pipe>),
}

fn planned(listed: &Listed, version: Version, place: Place) -> PlannedFile {
    let role = match listed.file.role {
        ManifestRole::Outcome => Role::Outcomes,
        ManifestRole::Deleted => Role::Deletions,
        ManifestRole::Output => Role::Data,
    };
    let by_name = || declared_by_name(&listed.name).filter(|_| role == Role::Data).map(str::to_owned);
    PlannedFile {
        key: listed.key.stored(),
        version,
        name: listed.name.clone(),
        url: Some(listed.file.url.to_string()),
        role,
        declared_type: listed.file.declared_type.clone().or_else(by_name),
        declared_count: listed.file.count,
        transaction_time: listed.transaction_time.clone(),
        organized: listed.organized,
        place,
        identity: None,
    }
}
