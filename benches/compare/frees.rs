//! Counts what threads hand to each other through the allocator in a load: how many blocks were freed by another thread than
//! the one that allocated them, and how many bytes those were.
//!
//! Usage: `compare-frees FOLDER OUT [THREADS]`; the lake goes to OUT. Each block has its thread's number in front of it, so
//! this is for counting, not for timing. A block that grows (`realloc`) is freed by whoever makes it grow.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lakehaul_benches::ours;

static ALLOCATED: Count = Count::new();
static FREED_ELSEWHERE: Count = Count::new();
static THREADS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Zero: it has none yet.
    static THREAD: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Blocks, and bytes in them.
struct Count {
    blocks: AtomicU64,
    bytes: AtomicU64,
}

impl Count {
    const fn new() -> Count {
        Count { blocks: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    fn add(&self, bytes: usize) {
        self.blocks.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    fn taken(&self) -> (u64, u64) {
        (self.blocks.load(Relaxed), self.bytes.load(Relaxed))
    }
}

struct Counting;

/// What goes in front of a block, and the layout of both: the front is a multiple of the alignment, and has room for a number.
fn with_front(layout: Layout) -> Option<(usize, Layout)> {
    let front = layout.align().max(align_of::<u64>());
    let whole = Layout::from_size_align(layout.size().checked_add(front)?, front).ok()?;
    Some((front, whole))
}

fn this_thread() -> u64 {
    THREAD.with(|thread| {
        if thread.get() == 0 {
            thread.set(THREADS.fetch_add(1, Relaxed) + 1);
        }
        thread.get()
    })
}

// SAFETY: every block is one of the system's, from `front` bytes on; `front` follows from the layout alone, so that both sides
// agree on it, and is a multiple of the layout's alignment, to which the system's block is aligned. No method allocates: the
// thread's number is a constant-initialised cell without a destructor.
#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((front, whole)) = with_front(layout) else { return std::ptr::null_mut() };
        // SAFETY: `whole` is at least as long as its front, which is not empty.
        let block = unsafe { System.alloc(whole) };
        if block.is_null() {
            return block;
        }
        ALLOCATED.add(layout.size());
        // SAFETY: the block begins with `front` bytes, of which the last eight are the number's, aligned as the block is.
        unsafe {
            block.add(front - size_of::<u64>()).cast::<u64>().write(this_thread());
            block.add(front)
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some((front, whole)) = with_front(layout) else { return };
        // SAFETY: the caller gives a block of `alloc` with its layout, so the number and the front are before it.
        let thread = unsafe { block.sub(size_of::<u64>()).cast::<u64>().read() };
        if thread != this_thread() {
            FREED_ELSEWHERE.add(layout.size());
        }
        // SAFETY: as above; `whole` is what it was allocated with.
        unsafe { System.dealloc(block.sub(front), whole) }
    }
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, which takes its own arguments")]
#[expect(clippy::print_stdout, reason = "what it has found")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, out, rest @ ..] = arguments.as_slice() else {
        return Err("usage: compare-frees FOLDER OUT [THREADS]".into());
    };
    let threads = rest.first().map_or(Ok(2), |text| text.parse())?;
    let rows = ours::load(Path::new(folder), Path::new(out), threads);
    let ((blocks, bytes), (foreign_blocks, foreign_bytes)) = (ALLOCATED.taken(), FREED_ELSEWHERE.taken());
    println!("rows {rows}, threads {threads}");
    println!("allocated                {blocks:>12} blocks {:>12.1} MB", bytes as f64 / 1e6);
    println!("freed by another thread  {foreign_blocks:>12} blocks {:>12.1} MB", foreign_bytes as f64 / 1e6);
    Ok(())
}
