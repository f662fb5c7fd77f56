//! A web server as a store that is only read: what is named is asked for by `HEAD` and `GET` (RFC 9110). Nothing is listed and
//! nothing is written, as servers differ in whether and how they would do that.

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::http::{HttpBuilder, HttpStore};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    ClientConfigKey, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, RetryConfig,
};
use url::{Position, Url};

/// The server that a URL is on.
#[derive(Debug)]
pub(crate) struct Web(HttpStore);

impl Web {
    pub(crate) fn of(url: &Url, retries: RetryConfig) -> Result<Web> {
        let server = HttpBuilder::new().with_url(&url[..Position::BeforePath]).with_retry(retries);
        // Whoever names a server without TLS means it: it is on the same machine, or in the same network.
        let plain = url.scheme() == "http";
        server.with_config(ClientConfigKey::AllowHttp, plain.to_string()).build().map(Web)
    }
}

impl std::fmt::Display for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

fn only_read<T>() -> Result<T> {
    Err(Error::NotSupported { source: "a web server is only read".into() })
}

#[async_trait]
impl ObjectStore for Web {
    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(path, options).await.map_err(|error| match error {
            // What is said of a bucket's policy would be wrong of a web server.
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                let source =
                    "the web server gives this only to who logs in, which lakehaul does not do for plain files";
                Error::Generic { store: "HTTP", source: source.into() }
            }
            other => other,
        })
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::empty().boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        only_read()
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        only_read()
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        only_read()
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        stream::iter([only_read()]).boxed()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        only_read()
    }
}

#[async_trait]
impl MultipartStore for Web {
    async fn create_multipart(&self, _: &Path) -> Result<MultipartId> {
        only_read()
    }

    async fn put_part(&self, _: &Path, _: &MultipartId, _: usize, _: PutPayload) -> Result<PartId> {
        only_read()
    }

    async fn complete_multipart(&self, _: &Path, _: &MultipartId, _: Vec<PartId>) -> Result<PutResult> {
        only_read()
    }

    async fn abort_multipart(&self, _: &Path, _: &MultipartId) -> Result<()> {
        only_read()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};

    use lakehaul_write::store::Store;

    use super::*;
    use crate::{Bucket, BucketStore, Habits};

    const TEXT: &str = "0123456789";

    fn answer(mut connection: &TcpStream, knows_ranges: bool) -> Option<()> {
        let mut lines = BufReader::new(connection.try_clone().ok()?).lines();
        loop {
            let request = lines.next()?.ok()?;
            let mut from = None;
            for header in lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()) {
                let asked = header
                    .to_ascii_lowercase()
                    .strip_prefix("range: bytes=")
                    .and_then(|range| range.strip_suffix('-')?.parse().ok());
                from = from.or(asked.filter(|_| knows_ranges));
            }
            let (status, body) = match (request.split(' ').nth(1)?, from) {
                ("/files/secret", _) => ("403 Forbidden", ""),
                ("/files/text", Some(from)) if from >= TEXT.len() => ("416 Range Not Satisfiable", ""),
                ("/files/text", Some(from)) => ("206 Partial Content", &TEXT[from..]),
                ("/files/text", None) => ("200 OK", TEXT),
                _ => ("404 Not Found", ""),
            };
            let (whole, length) = (TEXT.len(), body.len());
            let range =
                from.map_or(String::new(), |from| format!("Content-Range: bytes {from}-{}/{whole}\r\n", whole - 1));
            let body = if request.starts_with("HEAD") { "" } else { body };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{range}");
            let dated = "Last-Modified: Sun, 01 Nov 2026 00:00:00 GMT\r\n\r\n";
            connection.write_all(format!("{head}{dated}{body}").as_bytes()).ok()?;
        }
    }

    /// The folder of a server that lives as long as the process.
    fn server(knows_ranges: bool) -> BucketStore {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/files", listener.local_addr().expect("its address"));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                std::thread::spawn(move || answer(&connection, knows_ranges));
            }
        });
        let bucket = Bucket::open(&url, &[]).expect("a URL");
        assert!(bucket.is_web());
        BucketStore::new(bucket, Habits::default())
    }

    #[test]
    fn what_is_named_can_be_read_from_any_byte_on() {
        for knows_ranges in [true, false] {
            let store = server(knows_ranges);
            let dated = store.dated("text").expect("it is there");
            assert_eq!((dated.bytes, dated.modified.is_some()), (10, true));
            for from in [0, 1, 9, 10, 11] {
                let mut read = String::new();
                let mut stream = store.stream("text", from).expect("a stream");
                stream.read_to_string(&mut read).expect("bytes");
                assert_eq!(read, TEXT[TEXT.len().min(from as usize)..], "from {from}, with ranges: {knows_ranges}");
            }
        }
    }

    #[test]
    fn what_cannot_be_had_is_told() {
        let store = server(true);
        assert_eq!(store.dated("nothing").unwrap_err().kind(), std::io::ErrorKind::NotFound);
        assert!(store.dated("secret").unwrap_err().to_string().contains("only to who logs in"));
        assert_eq!(store.put("new", b"x").unwrap_err().kind(), std::io::ErrorKind::Unsupported);
        assert!(store.list("").expect("nothing").is_empty());
        for url in
            ["https://host/file?token=t0psecret", "https://me:t0psecret@host/file", "https://t0psecret@host/file"]
        {
            let refused = Bucket::open(url, &[]).unwrap_err().to_string();
            assert!(
                refused.contains("and give credentials by the environment") && !refused.contains("t0psecret"),
                "{refused}"
            );
        }
    }
}
