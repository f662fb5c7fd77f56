//! Who is let in, and over what.

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Only a live token.
    Token,
    /// Anyone; there is no token endpoint.
    Open,
}

/// How a client may authenticate at a SMART server's token endpoint; 1upHealth takes [`ClientAuth::Form`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the form.
    Form,
    /// HTTP Basic.
    Basic,
    /// A signed assertion, RS384 or ES384.
    PrivateKeyJwt,
}

/// What a token answer's `expires_in` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiresIn {
    /// The lifetime, in whole seconds.
    True,
    /// Nothing.
    Missing,
    /// This, whatever the lifetime is.
    Seconds(u64),
}

/// TLS on all origins, under a CA of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// A certificate for `127.0.0.1` and `localhost`.
    Good,
    /// A certificate for another name.
    WrongName,
    /// A certificate whose time is over.
    Expired,
}
