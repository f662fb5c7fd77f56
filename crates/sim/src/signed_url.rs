//! URLs with a signature in the query, each alive for some requests or some time.

use std::collections::HashMap;
use std::time::Instant;

use crate::served_file::Signed;

/// The query parameter of a signed URL.
const SIGNATURE: &str = "X-Sim-Signature";

/// All signatures that were handed out.
pub(crate) struct SignedUrls {
    alive: HashMap<String, Signature>,
    dice: fastrand::Rng,
}

struct Signature {
    file: usize,
    /// None: as many as one likes.
    requests_left: Option<u32>,
    dies: Option<Instant>,
}

impl SignedUrls {
    pub(crate) fn new(seed: u64) -> SignedUrls {
        SignedUrls { alive: HashMap::new(), dice: fastrand::Rng::with_seed(seed ^ 0x7369_676e_6564) }
    }

    /// The query of a new URL for this file.
    pub(crate) fn sign(&mut self, file: usize, signed: Signed) -> String {
        let text = format!("{:016x}{:016x}", self.dice.u64(..), self.dice.u64(..));
        let dies = signed.lifetime.and_then(|lifetime| Instant::now().checked_add(lifetime));
        self.alive.insert(text.clone(), Signature { file, requests_left: signed.requests, dies });
        format!("X-Sim-Algorithm=none&{SIGNATURE}={text}")
    }

    pub(crate) fn expire_all(&mut self) {
        self.alive.clear();
    }

    /// Counts a request to a signed URL, if it is alive.
    pub(crate) fn admit(&mut self, query: Option<&str>, file: usize) -> bool {
        let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let Some((_, text)) = pairs.find(|(name, _)| name == SIGNATURE) else { return false };
        let Some(signature) = self.alive.get_mut(&*text) else { return false };
        if signature.file != file || signature.dies.is_some_and(|dies| Instant::now() >= dies) {
            return false;
        }
        match &mut signature.requests_left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }
}
