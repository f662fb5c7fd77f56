//! The listeners, their threads, and what a test may ask of a running server.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::credentials::Credentials;
use crate::fault::{Rule, Target};
use crate::log::{Origin, Seen};
use crate::model::Model;
use crate::origins::Origins;
use crate::payer::{Payer, Verdict};
use crate::route::Endpoint;
use crate::scenario::Scenario;
use crate::tls;
use crate::wire::{After, Connection, Request, deliver, hang_up, read_request};

/// How long stopping may take.
const LONGEST_STOP: Duration = Duration::from_secs(1);

/// A running server. It stops, and its connections with it, when this is dropped.
pub struct Sim {
    payer: Arc<Payer>,
    ca_pem: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sim {
    /// Listens on 127.0.0.1 and serves from then on, on threads of its own.
    ///
    /// # Errors
    /// A port that cannot be had; no certificate or thread to be had.
    pub fn start(scenario: Scenario) -> io::Result<Sim> {
        let (acceptor, ca_pem) = scenario.tls.map(tls::acceptor).transpose()?.unzip();
        let main = listen(scenario.port)?;
        let other = listen(0)?;
        let plain = acceptor.as_ref().map(|_| listen(0)).transpose()?;
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let url = |scheme: &str, listener: &StdListener| {
            listener.local_addr().map(|address| format!("{scheme}://127.0.0.1:{}", address.port()))
        };
        let origins = Origins {
            main: url(scheme, &main)?,
            other: url(scheme, &other)?,
            plain: plain.as_ref().map(|plain| url("http", plain)).transpose()?,
        };
        let payer = Arc::new(Payer::new(scenario, origins));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("lakehaul-sim")
            .enable_io()
            .enable_time()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&payer);
        let listeners =
            [Some((main, Origin::Main)), Some((other, Origin::Other)), plain.map(|plain| (plain, Origin::Plain))];
        let thread = std::thread::Builder::new().name("lakehaul-sim".to_owned()).spawn(move || {
            runtime.block_on(async {
                for (listener, origin) in listeners.into_iter().flatten() {
                    let acceptor = acceptor.clone().filter(|_| origin != Origin::Plain);
                    tokio::spawn(accept(listener, origin, acceptor, Arc::clone(&serving)));
                }
                // An error says that the `Sim` is gone without a word, which is the same.
                let _ = stopped.await;
            });
            // Waits, so that the ports are free again; but not for a body that takes long to make.
            runtime.shutdown_timeout(LONGEST_STOP);
        })?;
        Ok(Sim { payer, ca_pem, stop: Some(stop), thread: Some(thread) })
    }

    /// What a client is configured with: the gateway's origin for 1upHealth's exports, the FHIR base for
    /// a SMART server and for 1upHealth's doors for patients.
    pub fn base_url(&self) -> String {
        format!("{}{}", self.payer.origins.main, self.payer.site().configured_base())
    }

    /// Scheme, host and port of the main listener.
    pub fn origin(&self) -> String {
        self.payer.origins.main.clone()
    }

    /// Scheme, host and port of the second listener. It answers as the main one does, but asks for a token only for
    /// files that are [placed there](crate::Place::OtherOrigin).
    pub fn other_origin(&self) -> String {
        self.payer.origins.other.clone()
    }

    /// With TLS: a listener without it.
    pub fn plain_origin(&self) -> Option<String> {
        self.payer.origins.plain.clone()
    }

    /// The token endpoint.
    pub fn token_url(&self) -> String {
        format!("{}{}", self.payer.origins.main, self.payer.site().token_path())
    }

    /// Where members log in, if they do.
    pub fn authorize_url(&self) -> Option<String> {
        let path = self.payer.site().authorize_path()?;
        Some(format!("{}{path}", self.payer.origins.main))
    }

    /// The URL before `/$export`, for trying it by hand.
    pub fn fhir_base(&self) -> String {
        format!("{}{}", self.payer.origins.main, self.payer.site().fhir_base())
    }

    /// With TLS: the certificate to trust.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// What lets a client in.
    pub fn credentials(&self) -> Credentials {
        self.payer.credentials.clone()
    }

    /// Every request so far, in order.
    pub fn log(&self) -> Vec<Seen> {
        self.payer.log.seen()
    }

    /// The requests of one target, in order: `sim.seen(Endpoint::Status)`, `sim.seen("Patient.1.ndjson")`.
    pub fn seen(&self, target: impl Into<Target>) -> Vec<Seen> {
        let target = target.into();
        let wanted = |seen: &Seen| match (&target, seen.endpoint) {
            (Target::One(endpoint), seen) => *endpoint == seen,
            (Target::Named(name), Endpoint::File(index)) => self.payer.file_name(index) == name,
            (Target::AnyFile | Target::EachFile, Endpoint::File(_)) => true,
            (Target::Any, endpoint) => endpoint != Endpoint::Unknown,
            _ => false,
        };
        self.log().into_iter().filter(wanted).collect()
    }

    /// Requests that no rule knows; they were answered 599. A test asserts that there are none.
    pub fn unscripted(&self) -> Vec<Seen> {
        self.seen(Endpoint::Unknown)
    }

    /// Kick-offs that were accepted.
    pub fn export_count(&self) -> usize {
        self.payer.exports()
    }

    /// Exports that were deleted.
    pub fn deleted_count(&self) -> usize {
        self.payer.deleted_exports()
    }

    /// `$member-match` requests that were good ones, whatever they came to.
    pub fn match_count(&self) -> usize {
        self.payer.matches()
    }

    /// Tokens that the token endpoint has handed out; their texts, for looking whether one of them leaked.
    pub fn tokens(&self) -> Vec<String> {
        self.payer.tokens_handed_out()
    }

    /// Status requests that came before the `Retry-After` of the answer before had run out.
    pub fn early_polls(&self) -> Vec<Seen> {
        self.seen(Endpoint::Status).into_iter().filter(|seen| seen.too_early_by.is_some()).collect()
    }

    /// Requests to any origin but the main one that carried `Authorization`, a token, the client's secret or an
    /// assertion.
    pub fn tokens_seen_at_other_origin(&self) -> Vec<Seen> {
        self.log().into_iter().filter(|seen| seen.origin != Origin::Main && seen.carries_secret).collect()
    }

    /// What the output files truly hold.
    pub fn model(&self) -> Model {
        self.payer.model()
    }

    /// These rules from now on, instead of all others; they count from here.
    pub fn set_faults(&self, rules: Vec<Rule>) {
        self.payer.set_rules(rules);
    }

    /// One more rule from now on; it counts from here.
    pub fn add_fault(&self, rule: Rule) {
        self.payer.add_rule(rule);
    }

    /// All tokens handed out so far die.
    pub fn revoke_tokens(&self) {
        self.payer.revoke_tokens();
    }

    /// Waits until the log is as wanted; false if it is not in time. For stopping a client at a known point.
    pub fn wait_until(&self, timeout: Duration, wanted: impl Fn(&[Seen]) -> bool) -> bool {
        self.payer.log.wait_until(timeout, wanted)
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error says that the thread is gone already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sim").field("origins", &self.payer.origins).finish_non_exhaustive()
    }
}

fn listen(port: u16) -> io::Result<StdListener> {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn accept(listener: StdListener, origin: Origin, acceptor: Option<TlsAcceptor>, payer: Arc<Payer>) {
    let listener = TcpListener::from_std(listener).expect("it was bound and set non-blocking");
    loop {
        // A client that is gone before it was taken, or no file descriptor left: the next one may do better.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (acceptor, payer) = (acceptor.clone(), Arc::clone(&payer));
        tokio::spawn(async move {
            // An error here is the client's: it is gone, or does not trust the certificate.
            let _ = serve(stream, origin, acceptor, &payer).await;
            payer.log.tell();
        });
    }
}

async fn serve(stream: TcpStream, origin: Origin, acceptor: Option<TlsAcceptor>, payer: &Payer) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = match acceptor {
        Some(acceptor) => Connection::Tls(Box::new(acceptor.accept(stream).await?)),
        None => Connection::Plain(stream),
    };
    let mut buffer = BytesMut::new();
    while let Some(request) = read_request(&mut connection, &mut buffer).await? {
        if answer(&mut connection, &request, origin, payer).await? == After::Closed {
            break;
        }
    }
    Ok(())
}

async fn answer(connection: &mut Connection, request: &Request, origin: Origin, payer: &Payer) -> io::Result<After> {
    let Verdict { entry, reply, delivery } = payer.answer(request, origin);
    let after = match reply {
        Ok(reply) => deliver(connection, reply, &delivery, request.keep_alive, &entry).await?,
        Err(hangup) => {
            hang_up(connection, hangup).await?;
            After::Closed
        }
    };
    payer.log.tell();
    Ok(after)
}
