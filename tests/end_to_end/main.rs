//! The binary from end to end, as a pipeline sees it: arguments, files and environment in; exit code, stdout, stderr and
//! a lake out.
//!
//! Tests over the corpus (`../shared/corpus/synthea`) say so and pass where it is not there.

mod lakehaul;
mod inputs;
mod web;
mod corpus;
mod again;
mod bad_inputs;
mod settings;
mod looking;
mod readers;
mod payer;
mod export_transport;
mod export_trust;
mod signals;
mod watching;
mod kills;
mod injected;
mod small_disks;
mod one_writer;
mod searching;
mod matching;
mod logins;
mod upkeep;
