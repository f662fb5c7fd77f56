//! The `lakehaul` binary: an allocator and [`lakehaul_cli::main`].

use std::process::ExitCode;

/// Workers free what readers allocated, all the time; mimalloc takes that without a lock, and gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lakehaul_cli::main()
}
