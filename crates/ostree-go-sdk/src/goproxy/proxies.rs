//! The proxies and servers that files come from.

use crate::golang::proxy::{ProxyEntry, ProxyTarget};
use crate::http::url::Url;
use crate::http::{Body, HttpClient, HttpError};
use crate::kind::ErrorKind;
use crate::progress::Progress;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A list of servers, which are asked in order.
#[derive(Debug, Clone)]
pub(super) struct Servers {
    client: HttpClient,
    list: Vec<Server>,
}

#[derive(Debug, Clone)]
struct Server {
    url: Url,
    /// The next server is asked after any error, and not only if this one does not have the file.
    on_any_error: bool,
}

/// The content of a file, which is not verified.
#[derive(Debug)]
pub(super) enum Fetched {
    Received(Body),
    Local(File, u64),
}

impl Servers {
    /// Creates the servers of a `GOPROXY` list. `direct` and `off` end it.
    pub fn of_list(client: &HttpClient, list: Vec<ProxyEntry>) -> Result<Self, HttpError> {
        let servers = list.into_iter().filter_map(|entry| match entry.target {
            ProxyTarget::Proxy(url) => Some((url, entry.on_any_error)),
            ProxyTarget::Direct | ProxyTarget::Off => None,
        });
        Self::new(client, servers)
    }

    /// Creates servers of which the next one is asked after any error.
    pub fn of_mirrors(client: &HttpClient, urls: &[String]) -> Result<Self, HttpError> {
        Self::new(client, urls.iter().map(|url| (url.clone(), true)))
    }

    fn new(
        client: &HttpClient,
        servers: impl Iterator<Item = (String, bool)>,
    ) -> Result<Self, HttpError> {
        let server = |(url, on_any_error): (String, bool)| {
            let url = Url::parse(&url)?;
            Ok(Server { url, on_any_error })
        };
        Ok(Self {
            client: client.clone(),
            list: servers.map(server).collect::<Result<_, HttpError>>()?,
        })
    }

    /// Returns the URLs with their credentials.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|server| server.url.secret())
    }

    /// Returns true if there is no server.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Fetches a file of at most `limit` bytes from the first server that has it. More than a small part of it is
    /// stored in a temporary file in the folder `spool_in`, if one is given.
    pub fn fetch(
        &self,
        path: &str,
        limit: u64,
        spool_in: Option<&Path>,
        progress: &dyn Progress,
    ) -> Result<Fetched, HttpError> {
        let mut worst: Option<HttpError> = None;
        for server in &self.list {
            let error = match self.fetch_from(&server.url, path, limit, spool_in, progress) {
                Ok(fetched) => return Ok(fetched),
                Err(error) => error,
            };
            let is_missing = error.kind() == ErrorKind::NotFound;
            let is_final =
                error.kind() == ErrorKind::Cancelled || !(is_missing || server.on_any_error);
            // As the go command does, prefer the error of a server that failed to one without the file.
            if worst.is_none() || !is_missing {
                worst = Some(error);
            }
            if is_final {
                break;
            }
        }
        Err(worst.unwrap_or_else(|| HttpError::Status {
            url: path.to_owned(),
            status: 404,
            retry_after: None,
        }))
    }

    fn fetch_from(
        &self,
        server: &Url,
        path: &str,
        limit: u64,
        spool_in: Option<&Path>,
        progress: &dyn Progress,
    ) -> Result<Fetched, HttpError> {
        let url = server.join(path)?;
        let Some(local) = url.local_path() else {
            let on_bytes = |_| !progress.is_cancelled();
            let body = self
                .client
                .fetch(&url, limit, spool_in, progress, &on_bytes)?;
            return Ok(Fetched::Received(body));
        };
        let open = || {
            let file = File::open(&local)?;
            let metadata = file.metadata()?;
            match metadata.is_file() {
                true => Ok((file, metadata.len())),
                false => Err(io::ErrorKind::NotFound.into()),
            }
        };
        match open() {
            Ok((_, size)) if size > limit => Err(HttpError::TooLarge {
                url: url.to_string(),
                limit,
            }),
            Ok((file, size)) => Ok(Fetched::Local(file, size)),
            Err(source) => Err(HttpError::File {
                path: local,
                source,
            }),
        }
    }
}

impl Fetched {
    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Received(body) => body.len(),
            Self::Local(_, size) => *size,
        }
    }

    /// Writes the content to a file.
    pub fn copy_to(self, dest: &mut File) -> io::Result<u64> {
        match self {
            Self::Received(mut body) => io::copy(&mut body.reader()?, dest),
            Self::Local(file, size) => io::copy(&mut file.take(size), dest),
        }
    }

    /// Reads the content into memory.
    pub fn into_bytes(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Received(body) => body.into_bytes(),
            Self::Local(file, size) => {
                let mut bytes = Vec::new();
                file.take(size).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}
