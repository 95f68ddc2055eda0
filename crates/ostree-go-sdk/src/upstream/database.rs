//! A client of a checksum database that verifies every answer.

use super::error::UpstreamError;
use super::heads::HeadStore;
use crate::fs::atomic;
use crate::golang::h1::H1;
use crate::golang::module_path::escape;
use crate::golang::sumdb::{
    LOOKUP_LIMIT, Lookup, Record, SignedHead, SumdbError, Tile, Tiles, VerifierKey,
};
use crate::http::url::Url;
use crate::http::{HttpClient, HttpError, HttpOptions};
use crate::kind::ErrorKind;
use crate::progress::Progress;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// A checksum database, which can be reached at several URLs. Which of them answers does not matter, because answers are
/// signed and proven.
#[derive(Debug, Clone)]
pub struct Database {
    key: Arc<VerifierKey>,
    urls: Vec<Url>,
    http: HttpClient,
    heads: Option<HeadStore>,
    tiles: Option<PathBuf>,
}

/// A record that was looked up and proven.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProvenRecord {
    /// The URL that it came from, without credentials.
    pub url: String,
    /// The record.
    pub record: Record,
}

impl ProvenRecord {
    /// Returns the `h1:` hash of a module's content, or of its `go.mod` file if `/go.mod` follows the version.
    ///
    /// # Errors
    /// Returns an error if the record is about another module or version.
    pub fn h1(&self, module: &str, version: &str) -> Result<H1, UpstreamError> {
        let h1 = self.record.h1(module, version);
        h1.map_err(|source| UpstreamError::Database {
            url: self.url.clone(),
            source: Box::new(source),
        })
    }
}

impl Database {
    /// Describes a database. The URLs are tried in order: the next one is asked if one cannot be reached, and if it is not
    /// the first and does not have the database. Only the last one is asked repeatedly.
    ///
    /// # Errors
    /// Returns an error if a URL is invalid, or the HTTP options cannot be used.
    pub fn new(
        key: VerifierKey,
        urls: &[String],
        http: &HttpOptions,
    ) -> Result<Self, UpstreamError> {
        let parse = |url: &String| Url::parse(url).map_err(HttpError::from);
        Ok(Self {
            key: Arc::new(key),
            urls: urls.iter().map(parse).collect::<Result<_, _>>()?,
            http: HttpClient::new(http)?,
            heads: None,
            tiles: None,
        })
    }

    /// Sets the store for the newest head of the tree. Each head is compared with it: one tree has to begin with all records of
    /// the other. Default: none, so that a database can show another tree to each client.
    #[must_use]
    pub fn heads(mut self, store: Option<HeadStore>) -> Self {
        self.heads = store;
        self
    }

    /// Sets a directory that caches the full tiles of the tree. What is read from it is proven as what is fetched. Default:
    /// none.
    #[must_use]
    pub fn tile_cache(mut self, dir: Option<PathBuf>) -> Self {
        self.tiles = dir;
        self
    }

    /// Looks up the record of a module's version, and proves that it is in the signed tree.
    ///
    /// # Errors
    /// Returns [`UpstreamError::Unknown`] if the database does not have the version, [`UpstreamError::Fork`] if its tree
    /// contradicts the newest stored one, and an error if it cannot be reached or its answer cannot be verified.
    pub fn look_up(
        &self,
        module: &str,
        version: &str,
        progress: &dyn Progress,
    ) -> Result<ProvenRecord, UpstreamError> {
        let mut first_error = None;
        for (number, url) in self.urls.iter().enumerate() {
            let http = match number + 1 < self.urls.len() {
                true => &self.http.without_retries(),
                false => &self.http,
            };
            let server = Server {
                database: self,
                http,
                url,
                progress,
            };
            match server.look_up(module, version) {
                Err(UpstreamError::Http(error)) if error.kind() != ErrorKind::Cancelled => {
                    first_error.get_or_insert(UpstreamError::Http(error));
                }
                // A proxy need not serve the database.
                Err(UpstreamError::Unknown { .. }) if number > 0 => {}
                result => return result,
            }
        }
        Err(first_error.unwrap_or(UpstreamError::NoUrl))
    }
}

/// One URL of a database.
struct Server<'a> {
    database: &'a Database,
    http: &'a HttpClient,
    url: &'a Url,
    progress: &'a dyn Progress,
}

impl Server<'_> {
    fn look_up(&self, module: &str, version: &str) -> Result<ProvenRecord, UpstreamError> {
        let (escaped, escaped_version) = (escape(module), escape(version));
        let path = format!("lookup/{escaped}@{escaped_version}");
        let answer = self.get(&path, LOOKUP_LIMIT);
        let answer = answer.map_err(|error| match error.kind() {
            ErrorKind::NotFound => UpstreamError::Unknown {
                url: self.url.to_string(),
                module: format!("{module}@{version}"),
            },
            _ => error.into(),
        })?;
        let lookup = Lookup::open(&answer, &self.database.key);
        let lookup = lookup.map_err(|error| self.unverified(error))?;
        let record = self.with_tiles(&lookup.tiles(), |tiles| lookup.clone().prove(tiles))?;
        if let Some(heads) = &self.database.heads {
            self.compare_with_newest(heads, &record.head)?;
        }
        let url = self.url.to_string();
        Ok(ProvenRecord { url, record })
    }

    /// Compares a head with the newest one that was stored, and stores it if it is newer. If another thread or process
    /// stores one in the meantime, it is compared with that one as well.
    fn compare_with_newest(
        &self,
        heads: &HeadStore,
        head: &SignedHead,
    ) -> Result<(), UpstreamError> {
        let key = &self.database.key;
        loop {
            let newest = heads.newest(key)?;
            if let Some(newest) = &newest {
                self.compare(heads, newest, head)?;
                if head.head.size <= newest.head.size {
                    return Ok(());
                }
            }
            if heads.replace(key, newest.as_ref(), head, self.progress)? {
                return Ok(());
            }
        }
    }

    /// Checks that one of the trees begins with all records of the other, and keeps both heads if it does not.
    fn compare(
        &self,
        heads: &HeadStore,
        newest: &SignedHead,
        head: &SignedHead,
    ) -> Result<(), UpstreamError> {
        let (older, newer) = match head.head.size > newest.head.size {
            true => (newest, head),
            false => (head, newest),
        };
        let wanted = older.head.consistency_tiles(newer.head);
        let check = |tiles: &Tiles| older.head.check_continued_by(newer.head, tiles);
        match self.with_tiles(&wanted, check) {
            Err(UpstreamError::Database { url, source })
                if matches!(*source, SumdbError::Forked { .. }) =>
            {
                let evidence = heads.store_fork(&self.database.key, older, newer)?;
                Err(UpstreamError::Fork {
                    url,
                    evidence,
                    source,
                })
            }
            result => result,
        }
    }

    /// Gets tiles of a tree and does a proof with them: with tiles from the cache at first, and again without them if it fails,
    /// because they may be damaged. Tiles are stored in the cache after a proof with them.
    fn with_tiles<T>(
        &self,
        wanted: &BTreeSet<Tile>,
        prove: impl Fn(&Tiles) -> Result<T, SumdbError>,
    ) -> Result<T, UpstreamError> {
        let mut tiles = Tiles::new();
        let mut from_cache = BTreeSet::new();
        for tile in wanted {
            let content = match self.cached(tile) {
                Some(content) => {
                    from_cache.insert(*tile);
                    content
                }
                None => self.tile(tile)?,
            };
            tiles.insert(*tile, content);
        }
        let mut proven = prove(&tiles);
        if proven.is_err() && !from_cache.is_empty() {
            for tile in std::mem::take(&mut from_cache) {
                tiles.insert(tile, self.tile(&tile)?);
            }
            proven = prove(&tiles);
        }
        let proven = proven.map_err(|error| self.unverified(error))?;
        for (tile, content) in &tiles {
            if !from_cache.contains(tile) {
                self.store(tile, content);
            }
        }
        Ok(proven)
    }

    /// Fetches a tile. Servers may replace a tile that is not full by a larger one when the tree has grown.
    fn tile(&self, tile: &Tile) -> Result<Vec<u8>, HttpError> {
        let limit = tile.size() as u64;
        let found = self.get(&tile.path(), limit);
        if let Err(error) = &found
            && error.kind() == ErrorKind::NotFound
            && !tile.is_full()
        {
            let full = tile.full();
            if let Ok(mut content) = self.get(&full.path(), full.size() as u64) {
                content.truncate(tile.size());
                return Ok(content);
            }
        }
        found
    }

    fn cached(&self, tile: &Tile) -> Option<Vec<u8>> {
        let dir = self.database.tiles.as_ref()?;
        let content = std::fs::read(dir.join(tile.path())).ok()?;
        (tile.is_full() && content.len() == tile.size()).then_some(content)
    }

    fn store(&self, tile: &Tile, content: &[u8]) {
        if let Some(dir) = self.database.tiles.as_ref().filter(|_| tile.is_full()) {
            let path = dir.join(tile.path());
            // Without the cache, tiles are fetched again.
            let _ = std::fs::create_dir_all(atomic::folder_of(&path))
                .and_then(|()| atomic::write(&path, content));
        }
    }

    fn get(&self, path: &str, limit: u64) -> Result<Vec<u8>, HttpError> {
        let url = self.url.join(path).map_err(HttpError::from)?;
        self.http.get(&url, limit, self.progress)
    }

    fn unverified(&self, source: SumdbError) -> UpstreamError {
        UpstreamError::Database {
            url: self.url.to_string(),
            source: Box::new(source),
        }
    }
}
