//! One request off a connection: head (RFC 9112, sections 2 to 5) and body (section 6).

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A head longer than this is refused, as servers do.
const HEAD_BYTES: usize = 64 << 10;

/// Kick-off parameters, forms and rosters are far smaller.
const BODY_BYTES: usize = 16 << 20;

/// What a client asks.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// As it came.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// HTTP/1.1, and no `Connection: close`.
    pub(crate) keep_alive: KeepAlive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeepAlive {
    Yes,
    No,
}

impl Request {
    /// A header's text; None too where it is no text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The next request; None where the client has ended the connection between two. `buffer` keeps what was read too much.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for what is no HTTP/1 request; what the connection says otherwise.
pub(crate) async fn read_request(
    connection: &mut (impl AsyncRead + AsyncWrite + Unpin),
    buffer: &mut BytesMut,
) -> io::Result<Option<Request>> {
    let head_end = loop {
        while buffer.starts_with(b"\r\n") {
            buffer.advance(2);
        }
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if buffer.len() > HEAD_BYTES {
            return Err(invalid("the head is too long"));
        }
        if connection.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    };
    let head = buffer.split_to(head_end + 4);
    let mut request = parse_head(&head[..head_end])?;
    if request.header("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue")) {
        connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    request.body = if request.headers.contains_key("transfer-encoding") {
        read_chunks(connection, buffer).await?
    } else {
        let length =
            request.header("content-length").map_or(Ok(0), str::parse).map_err(|_| invalid("Content-Length"))?;
        take(connection, buffer, length).await?
    };
    Ok(Some(request))
}

fn parse_head(head: &[u8]) -> io::Result<Request> {
    let head = std::str::from_utf8(head).map_err(|_| invalid("the head is no text"))?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) = (first.next(), first.next(), first.next(), first.next())
    else {
        return Err(invalid("the request line has not three parts"));
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| invalid("the method"))?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header without a colon"))?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("a header's name"))?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| invalid("a header's value"))?;
        headers.append(name, value);
    }
    // A proxy is asked in absolute form: scheme and authority say nothing here.
    let target = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |slash| &rest[slash..]),
        _ => target,
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let closes = headers
        .get("connection")
        .is_some_and(|value| value.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains("close")));
    let keep_alive = match version {
        "HTTP/1.1" if !closes => KeepAlive::Yes,
        "HTTP/1.1" | "HTTP/1.0" => KeepAlive::No,
        _ => return Err(invalid("the version")),
    };
    Ok(Request { method, path: path.to_owned(), query, headers, body: Bytes::new(), keep_alive })
}

/// RFC 9112, section 7.1.
async fn read_chunks(connection: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let line = take_line(connection, buffer).await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| invalid("a chunk's size"))?;
        if size == 0 {
            while !take_line(connection, buffer).await?.is_empty() {}
            return Ok(body.freeze());
        }
        if body.len() + size > BODY_BYTES {
            return Err(invalid("the body is too long"));
        }
        body.extend_from_slice(&take(connection, buffer, size).await?);
        take(connection, buffer, 2).await?;
    }
}

async fn take_line(connection: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<String> {
    loop {
        if let Some(at) = buffer.windows(2).position(|window| window == b"\r\n") {
            let line = buffer.split_to(at + 2);
            return String::from_utf8(line[..at].to_vec()).map_err(|_| invalid("a line is no text"));
        }
        if buffer.len() > HEAD_BYTES {
            return Err(invalid("a line is too long"));
        }
        if connection.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn take(connection: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut, bytes: usize) -> io::Result<Bytes> {
    if bytes > BODY_BYTES {
        return Err(invalid("the body is too long"));
    }
    while buffer.len() < bytes {
        if connection.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.split_to(bytes).freeze())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP/1 request: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request, at every split of its bytes; then a second one, read from the same buffer.
    #[track_caller]
    fn check(text: &str, expected: impl Fn(&Request)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let twice = [text, text].concat();
        for split in 0..=text.len() {
            runtime.block_on(async {
                let (mut client, mut server) = tokio::io::duplex(1 << 20);
                let (front, back) = twice.split_at(split);
                let mut buffer = BytesMut::from(front);
                client.write_all(back.as_bytes()).await.unwrap();
                for _ in 0..2 {
                    expected(&read_request(&mut server, &mut buffer).await.unwrap().unwrap());
                }
                drop(client);
                assert!(read_request(&mut server, &mut buffer).await.unwrap().is_none());
            });
        }
    }

    #[test]
    fn requests_are_read_at_every_split() {
        check("GET /a/$export?_type=A,B HTTP/1.1\r\nHost: x\r\nRange:  bytes=1- \r\n\r\n", |request| {
            assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/a/$export"));
            assert_eq!(request.query.as_deref(), Some("_type=A,B"));
            assert_eq!(request.header("range"), Some("bytes=1-"));
            assert_eq!(request.keep_alive, KeepAlive::Yes);
        });
        check("POST http://host:1/t HTTP/1.1\r\nContent-Length: 3\r\nConnection: Close\r\n\r\na=b", |request| {
            assert_eq!((request.path.as_str(), &request.body[..]), ("/t", &b"a=b"[..]));
            assert_eq!(request.keep_alive, KeepAlive::No);
        });
        check(
            "\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n",
            |request| {
                assert_eq!(&request.body[..], b"abc");
            },
        );
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for text in [
            "GET / HTTP/2\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / a HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            "GET / HT",
        ] {
            let result = runtime.block_on(async {
                let (client, mut server) = tokio::io::duplex(1 << 10);
                drop(client);
                read_request(&mut server, &mut BytesMut::from(text)).await
            });
            assert!(result.is_err(), "{text:?}");
        }
    }
}
