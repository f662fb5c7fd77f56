//! A lake in a folder of this machine.
//!
//! A file's bytes are durable once [`StoreWrite::finish`] has returned, its name once [`Store::sync`] has: every folder
//! in which a name came, went or changed is remembered until then. Nothing written has group or other permission bits
//! unless they were asked for. Paths that leave the lake's folder are refused.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{DatedFile, Store, StoreLock, StoreRead, StoreSync, StoreWrite};

/// A folder as a store.
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    /// Permission bits of files. Folders have an execute bit where files have a read bit.
    mode: u32,
    unsynced: Arc<Unsynced>,
}

impl LocalStore {
    /// What only the owner may read.
    pub const PRIVATE: u32 = 0o600;

    /// The folder `root`; it is made with the first file. `mode`: the permission bits of files.
    pub fn new(root: impl Into<PathBuf>, mode: u32) -> LocalStore {
        LocalStore { root: root.into(), mode: mode & 0o666, unsynced: Arc::default() }
    }

    /// The path in the file system.
    fn resolve(&self, path: &str) -> io::Result<PathBuf> {
        if Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
            Ok(self.root.join(path))
        } else {
            Err(io::Error::new(ErrorKind::InvalidInput, format!("{path} is no path inside the lake")))
        }
    }

    /// Makes `folder` and what is missing above it.
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.as_os_str().is_empty() || folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            self.make_folder(parent)?;
            self.unsynced.add(parent);
        }
        match make_private_folder(folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => open_permissions(folder, self.mode | (self.mode & 0o444) >> 2 | 0o700),
        }
    }

    fn create_at(&self, target: &Path) -> io::Result<File> {
        if let Some(parent) = target.parent() {
            self.make_folder(parent)?;
            self.unsynced.add(parent);
        }
        let file = create_private_file(target)?;
        open_permissions(target, self.mode)?;
        Ok(file)
    }

    /// Writes a small file beside its place and has it brought there by `place`, durably.
    fn put_by(&self, path: &str, bytes: &[u8], own: &str, place: fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
        let target = self.resolve(path)?;
        let name = target.file_name().ok_or(ErrorKind::InvalidInput)?;
        let mut unfinished = std::ffi::OsString::from(".");
        unfinished.push(name);
        unfinished.push(own);
        unfinished.push(".unfinished");
        let unfinished = target.with_file_name(unfinished);
        let mut file = self.create_at(&unfinished)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| place(&unfinished, &target));
        if written.is_err() {
            // What keeps it there, such as a full disk, is told by `written`.
            let _ = fs::remove_file(&unfinished);
        }
        written.and_then(|()| self.sync())
    }
}

impl Store for LocalStore {
    fn create(&self, path: &str) -> io::Result<Box<dyn StoreWrite>> {
        let file = self.create_at(&self.resolve(path)?)?;
        Ok(Box::new(LocalWrite { file }))
    }

    fn extend(&self, path: &str, len: u64) -> io::Result<Box<dyn StoreWrite>> {
        let mut file = OpenOptions::new().write(true).open(self.resolve(path)?)?;
        if file.metadata()?.len() < len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        file.set_len(len)?;
        file.seek(SeekFrom::Start(len))?;
        Ok(Box::new(LocalWrite { file }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn StoreRead>> {
        let file = File::open(self.resolve(path)?)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        Ok(Box::new(LocalRead { file, len_bytes: metadata.len() }))
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        // The same name each time: only one process writes a lake, and what a death leaves is written over.
        self.put_by(path, bytes, "", rename)
    }

    fn put_new(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        // Others may write the same name at the same time: each in a file of its own, of which one gets the name. A second name
        // for a file cannot be one that is taken.
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let own = format!(".{}-{}", std::process::id(), WRITTEN.fetch_add(1, Relaxed));
        self.put_by(path, bytes, &own, |unfinished, target| {
            fs::hard_link(unfinished, target)?;
            fs::remove_file(unfinished)
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.resolve(from)?, self.resolve(to)?);
        if let Some(parent) = to.parent() {
            self.make_folder(parent)?;
            self.unsynced.add(parent);
        }
        rename(&from, &to)?;
        if let Some(parent) = from.parent() {
            self.unsynced.add(parent);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        // Whoever comes second must not return before the first one's folders, which may be its own too, are durable.
        let _one_at_a_time = self.unsynced.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let folders = std::mem::take(&mut *self.unsynced.folders());
        let mut rest = folders.iter();
        for folder in rest.by_ref() {
            match sync_folder(folder) {
                // It has been removed since, and its parent is among the folders.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    let mut unsynced = self.unsynced.folders();
                    unsynced.insert(folder.clone());
                    unsynced.extend(rest.cloned());
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let target = self.resolve(path)?;
        let removed = match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&target),
            Ok(_) => fs::remove_file(&target),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => {
                if let Some(parent) = target.parent() {
                    self.unsynced.add(parent);
                }
                Ok(())
            }
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<(String, u64)>> {
        let folder = if path.is_empty() { self.root.clone() } else { self.resolve(path)? };
        let mut files = Vec::new();
        list_into(&folder, path, &mut files)?;
        files.sort();
        Ok(files)
    }

    fn dated(&self, path: &str) -> io::Result<DatedFile> {
        let metadata = fs::symlink_metadata(self.resolve(path)?)?;
        Ok(DatedFile { path: path.to_owned(), bytes: metadata.len(), modified: Some(metadata.modified()?) })
    }

    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn StoreLock>>> {
        let target = self.resolve(path)?;
        if let Some(parent) = target.parent() {
            self.make_folder(parent)?;
        }
        let file = open_lock_file(&target)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(LocalLock { _file: file }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The folders whose entries changed since the last sync.
#[derive(Debug, Default)]
struct Unsynced {
    folders: Mutex<BTreeSet<PathBuf>>,
    syncing: Mutex<()>,
}

impl Unsynced {
    fn folders(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, folder: &Path) {
        let mut folders = self.folders();
        if !folders.contains(folder) {
            folders.insert(folder.to_owned());
        }
    }
}

struct LocalWrite {
    file: File,
}

impl Write for LocalWrite {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl StoreWrite for LocalWrite {
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.file.sync_all()
    }

    fn syncer(&self) -> io::Result<Box<dyn StoreSync>> {
        Ok(Box::new(LocalSync { file: self.file.try_clone()? }))
    }
}

struct LocalSync {
    file: File,
}

impl StoreSync for LocalSync {
    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

struct LocalRead {
    file: File,
    len_bytes: u64,
}

impl StoreRead for LocalRead {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; len];
        std::os::unix::fs::FileExt::read_exact_at(&self.file, &mut bytes, offset)?;
        Ok(bytes.into())
    }

    #[cfg(windows)]
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            let at = offset + filled as u64;
            match std::os::windows::fs::FileExt::seek_read(&self.file, &mut bytes[filled..], at)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        Ok(bytes.into())
    }
}

/// The operating system lets go when the file is closed, by a drop or by the process's death.
#[derive(Debug)]
struct LocalLock {
    _file: File,
}

impl StoreLock for LocalLock {}

/// The files under `folder`, named from `prefix` on. Symbolic links to folders are not followed.
fn list_into(folder: &Path, prefix: &str, files: &mut Vec<(String, u64)>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = if prefix.is_empty() { name.into_owned() } else { format!("{prefix}/{name}") };
        if entry.file_type()?.is_dir() {
            list_into(&entry.path(), &path, files)?;
            continue;
        }
        match entry.metadata() {
            Ok(metadata) => files.push((path, metadata.len())),
            // It has gone since its name was read.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this is where `Store::rename` is made of it")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

fn writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, LocalStore::PRIVATE);
    options
}

fn create_private_file(path: &Path) -> io::Result<File> {
    writing().truncate(true).open(path)
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    writing().truncate(false).open(path)
}

fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Gives what was made private the bits that were asked for, whatever the umask.
fn open_permissions(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    if mode & 0o077 != 0 {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    // The root's parent may be given as the empty path.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

/// Windows has no durable folders to ask for: NTFS journals names by itself.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, LocalStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::new(folder.path().join("lake"), LocalStore::PRIVATE);
        (folder, store)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (_folder, store) = store();
        let mut file = store.create("Patient/part-1.parquet").unwrap();
        file.write_all(b"PAR1 and more").unwrap();
        file.finish().unwrap();
        store.put("_lake/lake.json", b"{}").unwrap();
        store.rename("Patient/part-1.parquet", "Claim/part-2.parquet").unwrap();
        store.sync().unwrap();
        let names = |folder: &str| store.list(folder).unwrap();
        assert_eq!(names(""), [("Claim/part-2.parquet".to_owned(), 13), ("_lake/lake.json".to_owned(), 2)]);
        assert_eq!(names("Claim"), [("Claim/part-2.parquet".to_owned(), 13)]);
        assert_eq!(names("nowhere"), []);
        let file = store.open("Claim/part-2.parquet").unwrap();
        assert_eq!(file.len_bytes(), 13);
        assert_eq!(&file.read_at(5, 3).unwrap()[..], b"and");
        assert_eq!(file.read_at(5, 9).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(&store.read("_lake/lake.json").unwrap()[..], b"{}");
        store.remove("Claim").unwrap();
        store.remove("Claim").unwrap();
        store.remove("_lake/lake.json").unwrap();
        store.sync().unwrap();
        assert_eq!(names(""), []);
        assert_eq!(store.open("_lake/lake.json").map(drop).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn of_those_that_write_a_new_file_at_once_one_succeeds() {
        let (_folder, store) = store();
        for round in 0..50 {
            let path = format!("log/{round}.json");
            let write = |writer: u8| store.put_new(&path, &vec![writer; 3000]).map(|()| writer);
            let results = std::thread::scope(|scope| {
                let writers: Vec<_> = (0..4).map(|writer| scope.spawn(move || write(writer))).collect();
                writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
            });
            let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
            assert_eq!(won.len(), 1, "{lost:?}");
            assert!(lost.into_iter().all(|lost| lost.unwrap_err().kind() == ErrorKind::AlreadyExists));
            assert_eq!(store.read(&path).unwrap(), vec![won[0].as_ref().copied().unwrap(); 3000]);
        }
        assert_eq!(store.list("log").unwrap().len(), 50, "nothing else is left");
    }

    #[test]
    fn a_file_is_taken_up_where_it_is_believed() {
        let (_folder, store) = store();
        let mut file = store.create("a/b").unwrap();
        file.write_all(b"believed, torn").unwrap();
        file.syncer().unwrap().sync().unwrap();
        drop(file);
        let mut file = store.extend("a/b", 9).unwrap();
        file.write_all(b" and more").unwrap();
        file.finish().unwrap();
        assert_eq!(&store.read("a/b").unwrap()[..], b"believed, and more");
        assert_eq!(store.extend("a/b", 100).map(drop).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(store.extend("a/c", 0).map(drop).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_put_replaces_and_leaves_nothing_else() {
        let (_folder, store) = store();
        store.put("a.json", b"one, longer").unwrap();
        store.put("a.json", b"two").unwrap();
        assert_eq!(store.list("").unwrap(), [("a.json".to_owned(), 3)]);
    }

    #[test]
    fn paths_outside_the_lake_are_refused() {
        let (_folder, store) = store();
        for path in ["../a", "/etc/passwd", "a/../../b", "."] {
            assert_eq!(store.open(path).map(drop).unwrap_err().kind(), ErrorKind::InvalidInput, "{path}");
            assert_eq!(store.create(path).map(drop).unwrap_err().kind(), ErrorKind::InvalidInput, "{path}");
        }
    }

    #[test]
    fn one_holds_the_lock() {
        let (_folder, store) = store();
        let first = store.lock("_lake/lock").unwrap();
        assert!(first.is_some());
        assert!(store.lock("_lake/lock").unwrap().is_none());
        drop(first);
        assert!(store.lock("_lake/lock").unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn modes_are_private_unless_opened() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        for (mode, file, dir) in [(0o600, 0o600, 0o700), (0o640, 0o640, 0o750), (0o664, 0o664, 0o775)] {
            let root = folder.path().join(format!("{mode:o}"));
            let store = LocalStore::new(&root, mode);
            store.create("a/b").unwrap().finish().unwrap();
            store.put("c", b"").unwrap();
            let bits = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o7777;
            assert_eq!((bits("a/b"), bits("c"), bits("a"), bits("")), (file, file, dir, dir));
        }
    }
}
