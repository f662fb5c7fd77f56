//! HTTP/1.1 on a socket (RFC 9112), written by hand: a fault needs each byte under control, which a library keeps from
//! us.
//!
//! Requests are read strictly; answers are written as the script says, right or wrong.

mod connection;
mod request;
mod delivery;

pub(crate) use connection::Connection;
pub(crate) use delivery::{After, deliver, hang_up};
pub(crate) use request::{Request, read_request};
