//! Opens RPMs and checks their headers, digests and signatures.

use std::io::{BufReader, Seek};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::header::{self, Header, HeaderError, Headers};
use super::{Compression, Package, Packages, RpmProblem, goroot};
use crate::arch::Arch;
use crate::fs::cache::VerifiedFile;
use crate::fs::digest;
use crate::http::url::Url;
use crate::id::Sha256;
use crate::sign::{self, SignError, SignatureStatus};
use crate::source::download::{Found, public_name};
use crate::source::open::Opener;
use crate::source::{Body, Form, Source, SourceError, SourceInfo};
use crate::treefile::{RpmFile, RpmLocation};

/// Architecture of packages that are the same for all.
const NOARCH: &str = "noarch";

/// Number of SHA-256 in OpenPGP (RFC 9580, 9.5), which rpm's tags use as well.
const SHA256: u64 = 8;

impl Opener<'_> {
    /// Opens the RPMs of one SDK and checks their headers. Payloads are checked when they are read.
    pub(in crate::source) fn rpm(
        &self,
        files: &[RpmFile],
        keys: &[PathBuf],
    ) -> Result<Source, SourceError> {
        let (mut names, mut packages) = (Vec::new(), Vec::new());
        if self.pin.sha256.is_some() && self.pin.h1.is_none() {
            let shown = files.iter().map(ToString::to_string);
            let location = shown.collect::<Vec<_>>().join(", ");
            return Err(SourceError::RpmPin { location });
        }
        for file in files {
            let found = match &file.location {
                RpmLocation::Path(path) => self.local(path)?,
                RpmLocation::Url(url) => {
                    let url = Url::parse(url)?;
                    if file.sha256.is_none() && keys.is_empty() && self.pin.h1.is_none() {
                        let url = url.to_string();
                        return Err(SourceError::Unpinned { url });
                    }
                    Found {
                        name: public_name(&url),
                        location: url.to_string(),
                        file: self.download(&url, file.sha256)?,
                    }
                }
            };
            self.check(&found.location, found.file.sha256, file.sha256)?;
            names.push(found.name.clone());
            packages.push(Package::open(found, self.arch, keys)?);
        }
        let size = packages.iter().map(|package| package.size).sum();
        let packages = Packages::new(packages)?;
        let location = packages.goroot.folder();
        Ok(Source {
            info: SourceInfo {
                name: names.join(", "),
                form: Form::Rpm,
                sha256: Some(of_all(packages.sha256())),
                size: Some(size),
            },
            location,
            module: String::new(),
            body: Body::Rpm(packages),
        })
    }
}

/// Returns a digest of several files: that of the sorted list of their digests in hexadecimal,
/// one per line.
fn of_all(mut digests: Vec<Sha256>) -> Sha256 {
    if let [only] = digests[..] {
        return only;
    }
    digests.sort();
    let lines: String = digests.iter().map(|digest| format!("{digest}\n")).collect();
    digest::of(lines.as_bytes())
}

impl Package {
    fn open(found: Found, arch: Arch, keys: &[PathBuf]) -> Result<Self, SourceError> {
        let Found { location, file, .. } = found;
        let VerifiedFile {
            mut file,
            path,
            sha256,
            size,
        } = file;
        let refuse = |problem| SourceError::Rpm {
            location: location.clone(),
            problem: Box::new(problem),
        };
        file.rewind()
            .map_err(|source| SourceError::Io { path, source })?;
        let headers = Headers::read(&mut BufReader::new(&file)).map_err(|error| match error {
            HeaderError::Rpm(problem) => refuse(problem),
            HeaderError::Io(error) => SourceError::of_read(&location, None, error),
        })?;
        let expected = expected_size(&headers).map_err(refuse)?;
        if expected.is_some_and(|expected| size != expected) {
            let entry = None;
            return Err(if expected > Some(size) {
                SourceError::Truncated { location, entry }
            } else {
                SourceError::TrailingGarbage { location, entry }
            });
        }
        check_header(&headers).map_err(refuse)?;
        if let Some(found) = signatures(&headers, keys).map_err(refuse)? {
            check_signature(&headers, &found, keys).map_err(|problem| match problem {
                Ok(problem) => refuse(problem),
                Err(source) => SourceError::RpmSignatures {
                    location: location.clone(),
                    source,
                },
            })?;
        }
        let main = &headers.main;
        check_kind(main, arch).map_err(refuse)?;
        let checked = (|| {
            let compressor = main.text(header::PAYLOAD_COMPRESSOR)?;
            let version = main.text(header::VERSION)?.unwrap_or_default();
            let release = main.text(header::RELEASE)?.unwrap_or_default();
            Ok((
                format!("{version}-{release}"),
                goroot::listed(main)?,
                Compression::of(compressor.as_deref())?,
                payload_digest(main)?,
            ))
        })();
        let (version, listed, compression, digest) = checked.map_err(refuse)?;
        let unpacked = [header::UNPACKED_LONG_SIZE, header::UNPACKED_SIZE]
            .into_iter()
            .find_map(|tag| main.numbers(tag).ok()?.first().copied());
        Ok(Self {
            unpacked,
            location,
            file,
            sha256,
            size,
            version,
            listed,
            payload: headers.end,
            compression,
            digest,
        })
    }
}

/// Returns the file's size if the signature header contains it (as the size of what follows).
fn expected_size(headers: &Headers) -> Result<Option<u64>, RpmProblem> {
    let signature = &headers.signature;
    let sizes = [
        signature.numbers(header::SIG_LONG_SIZE)?,
        signature.numbers(header::SIG_SIZE)?,
    ];
    let size = sizes.iter().find_map(|sizes| sizes.first());
    Ok(size.map(|size| headers.begin.saturating_add(*size)))
}

fn check_header(headers: &Headers) -> Result<(), RpmProblem> {
    let expected = headers.signature.text(header::SIG_SHA256)?;
    let expected = expected.ok_or(RpmProblem::NoDigest { part: "header" })?;
    let found = digest::of(&headers.bytes);
    if expected.eq_ignore_ascii_case(&found.to_string()) {
        Ok(())
    } else {
        Err(RpmProblem::HeaderDigest { expected, found })
    }
}

fn payload_digest(main: &Header) -> Result<String, RpmProblem> {
    let algorithm = main.numbers(header::PAYLOAD_DIGEST_ALGO)?;
    main.text(header::PAYLOAD_DIGEST)?
        .filter(|_| algorithm.first().is_none_or(|found| *found == SHA256))
        .ok_or(RpmProblem::NoDigest { part: "payload" })
}

/// Checks the signatures of the main header, which contains the payload's digest. Returns `None`
/// if no keys are given.
fn signatures(headers: &Headers, keys: &[PathBuf]) -> Result<Option<Vec<u8>>, RpmProblem> {
    if keys.is_empty() {
        return Ok(None);
    }
    let mut packets = Vec::new();
    for tag in [header::SIG_RSA, header::SIG_DSA] {
        packets.extend(headers.signature.bytes(tag)?.unwrap_or_default());
    }
    for text in headers.signature.texts(header::SIG_OPENPGP)? {
        packets.extend(STANDARD.decode(text).unwrap_or_default());
    }
    if packets.is_empty() {
        return Err(RpmProblem::Unsigned);
    }
    Ok(Some(packets))
}

fn check_signature(
    headers: &Headers,
    signatures: &[u8],
    keys: &[PathBuf],
) -> Result<(), Result<RpmProblem, SignError>> {
    let found = sign::signatures_of_bytes(&headers.bytes, signatures, keys).map_err(Err)?;
    if found.iter().any(|s| s.status == SignatureStatus::Valid) {
        return Ok(());
    }
    let found = sign::statuses(&found);
    Err(Ok(RpmProblem::Refused { found }))
}

fn check_kind(main: &Header, arch: Arch) -> Result<(), RpmProblem> {
    if !main.has(header::SOURCE_RPM) {
        return Err(RpmProblem::Source);
    }
    let found = main.text(header::ARCH)?.unwrap_or_default();
    if found != NOARCH && found != arch.basearch() {
        let expected = arch.basearch();
        return Err(RpmProblem::Arch { found, expected });
    }
    match main.text(header::PAYLOAD_FORMAT)? {
        Some(found) if found != "cpio" => Err(RpmProblem::Format { found }),
        _ => Ok(()),
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Packages {
    /// Opens RPMs from memory, with the names for errors.
    pub fn of(files: Vec<(&str, std::fs::File, u64)>, arch: Arch) -> Result<Self, SourceError> {
        let open = |(name, file, size): (&str, std::fs::File, u64)| {
            let file = VerifiedFile {
                file,
                path: PathBuf::new(),
                sha256: digest::of(name.as_bytes()),
                size,
            };
            let (name, location) = (name.to_owned(), name.to_owned());
            let found = Found {
                name,
                location,
                file,
            };
            Package::open(found, arch, &[])
        };
        Self::new(files.into_iter().map(open).collect::<Result<_, _>>()?)
    }
}
