//! One criterion group a stage, with peers in the same group, throughput in bytes of NDJSON: `cargo bench -p lakehaul-benches`.
//!
//! The stages build on each other: `columns` parses too, `write` makes columns too. See README.md beside this file for
//! how to read them.

use std::hint::black_box;
use std::io::sink;
use std::path::PathBuf;
use std::time::Duration;

use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use lakehaul_benches::{ExportFile, export_files, ours, peers};
use lakehaul_parse::{Chunk, Cursor, TapeCursor, TapeScratch};
use lakehaul_sim::{Door, FileAccess, Personality, Scenario, ServedFile, Sim};

struct Data {
    files: Vec<(ExportFile, Chunk)>,
    /// Whether arrow-json can read them.
    peer_reads: bool,
    /// The same files, plain, on disk.
    folder: tempfile::TempDir,
}

impl Data {
    #[expect(clippy::print_stdout, reason = "a figure is worth nothing without the data it was taken on")]
    fn read() -> Data {
        let (source, files) = export_files();
        let bytes: usize = files.iter().map(|file| file.text.len()).sum();
        println!("{} files, {} bytes of NDJSON, from {}", files.len(), bytes, source.display());
        let refusal = peers::refusal(&files);
        if let Some(why) = &refusal {
            println!("arrow-json is left out, it cannot read these files: {why}");
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (number, file) in files.iter().enumerate() {
            let name = format!("{}.{number:03}.ndjson", file.resource_type);
            std::fs::write(folder.path().join(name), &file.text).expect("a disk with room");
        }
        let files = files.into_iter().map(|file| (Chunk::copy_of(&file.text), file)).map(|(chunk, file)| (file, chunk));
        Data { files: files.collect(), peer_reads: refusal.is_none(), folder }
    }

    fn group<'c>(&self, criterion: &'c mut Criterion, stage: &str) -> BenchmarkGroup<'c, WallTime> {
        let mut group = criterion.benchmark_group(stage);
        let bytes: usize = self.files.iter().map(|(file, _)| file.text.len()).sum();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
        group
    }

    fn sum<T: std::iter::Sum>(&self, each: impl FnMut(&(ExportFile, Chunk)) -> T) -> T {
        self.files.iter().map(each).sum()
    }
}

fn frame(criterion: &mut Criterion, data: &Data) {
    let mut group = data.group(criterion, "frame");
    group.bench_function("lakehaul", |b| b.iter(|| data.sum(|(file, _)| ours::frame(&file.text))));
    group.bench_function("memchr", |b| b.iter(|| data.sum(|(file, _)| memchr::memchr_iter(b'\n', &file.text).count())));
}

fn parse(criterion: &mut Criterion, data: &Data) {
    let mut group = data.group(criterion, "parse");
    group.bench_function("lakehaul skip", |b| b.iter(|| data.sum(|(_, chunk)| ours::skip(chunk))));
    group.bench_function("lakehaul walk", |b| b.iter(|| data.sum(|(_, chunk)| ours::walk(chunk))));
    group.bench_function("lakehaul tape cursor, skip", |b| {
        let mut scratch = TapeScratch::new();
        b.iter(|| {
            let mut skip = |chunk: &Chunk| -> usize {
                let cursors = chunk.lines().map(|line| {
                    let cursor = TapeCursor::new(&line, 128, &mut scratch);
                    cursor.and_then(|mut cursor| cursor.raw().map(str::len)).expect("sound lines")
                });
                cursors.sum()
            };
            data.sum(|(_, chunk)| skip(chunk))
        });
    });
    group.bench_function("simd-json tape", |b| {
        let mut buffers = simd_json::Buffers::new(1 << 16);
        let mut line_copy = Vec::new();
        b.iter(|| {
            for line in data.files.iter().flat_map(|(_, chunk)| chunk.lines()) {
                line_copy.clear();
                line_copy.extend_from_slice(line.bytes());
                black_box(simd_json::to_tape_with_buffers(&mut line_copy, &mut buffers).expect("sound lines"));
            }
        });
    });
    group.bench_function("serde_json, values ignored", |b| {
        b.iter(|| {
            for line in data.files.iter().flat_map(|(_, chunk)| chunk.lines()) {
                let ignored: serde::de::IgnoredAny = serde_json::from_slice(line.bytes()).expect("sound lines");
                black_box(ignored);
            }
        });
    });
    group.bench_function("serde_json Value", |b| {
        b.iter(|| {
            for line in data.files.iter().flat_map(|(_, chunk)| chunk.lines()) {
                let value: serde_json::Value = serde_json::from_slice(line.bytes()).expect("sound lines");
                black_box(value);
            }
        });
    });
}

fn columns(criterion: &mut Criterion, data: &Data) {
    let mut group = data.group(criterion, "columns");
    group.bench_function("lakehaul", |b| b.iter(|| data.sum(|(file, chunk)| ours::record_batches(file, chunk))));
    if data.peer_reads {
        group.bench_function("arrow-json, sampled schema", |b| {
            b.iter(|| data.sum(|(file, _)| peers::record_batches(file)));
        });
    }
}

fn write(criterion: &mut Criterion, data: &Data) {
    let mut group = data.group(criterion, "write");
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    group.bench_function("lakehaul", |b| {
        b.iter_batched(
            temporary,
            |(_guard, out)| {
                one.install(|| data.sum(|(file, chunk)| ours::write(file, chunk, &out.join(&file.resource_type))))
            },
            BatchSize::PerIteration,
        );
    });
    if data.peer_reads {
        group.bench_function("arrow-json, sampled schema", |b| {
            b.iter(|| data.files.iter().for_each(|(file, _)| peers::write(file, sink())));
        });
    }
}

fn load(criterion: &mut Criterion, data: &Data) {
    let mut group = data.group(criterion, "load");
    let two = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("two threads");
    group.bench_function("lakehaul, 2 threads", |b| {
        b.iter_batched(temporary, |(_guard, out)| ours::load(data.folder.path(), &out, 2), BatchSize::PerIteration);
    });
    if data.peer_reads {
        group.bench_function("arrow-json, sampled schema, 2 threads", |b| {
            b.iter_batched(
                temporary,
                |(_guard, out)| two.install(|| peers::load(data.folder.path(), &out)),
                BatchSize::PerIteration,
            );
        });
    }
}

/// The way over loopback, the payer in this process: beside `load`, it says what the network path costs.
fn export(criterion: &mut Criterion, data: &Data) {
    let mut group = data.group(criterion, "export");
    let served = |(number, (file, _)): (usize, &(ExportFile, Chunk))| {
        let name = format!("{}.{number:03}.ndjson", file.resource_type);
        ServedFile::new(&file.resource_type, file.text.clone()).named(&name)
    };
    let files: Vec<_> = data.files.iter().enumerate().map(served).collect();
    let scenario = Scenario::new(Personality::Smart).door(Door::Open).file_access(FileAccess::Open).files(files);
    let sim = Sim::start(scenario).expect("a payer on loopback");
    group.bench_function("lakehaul, 2 threads", |b| {
        b.iter_batched(temporary, |(_guard, out)| ours::export(&sim.base_url(), &out), BatchSize::PerIteration);
    });
    group.bench_function("lakehaul, 2 threads, load of the same files", |b| {
        b.iter_batched(temporary, |(_guard, out)| ours::load(data.folder.path(), &out, 2), BatchSize::PerIteration);
    });
}

/// A folder that goes when its guard does, after the timing.
fn temporary() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_owned();
    (folder, path)
}

fn stages(criterion: &mut Criterion) {
    let data = Data::read();
    frame(criterion, &data);
    parse(criterion, &data);
    columns(criterion, &data);
    write(criterion, &data);
    load(criterion, &data);
    export(criterion, &data);
}

criterion_group!(benches, stages);
criterion_main!(benches);
