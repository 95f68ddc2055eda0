//! Compares the objects of the two writers.

use super::*;
use crate::id::FileId;
use crate::kind::ErrorKind;
use crate::object::{AnyHeader, FileHasher, FileHeader};
use crate::repo::{Repo, RepoMode};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A test file. A large one exceeds the limit for memory.
#[derive(Debug, Clone)]
enum Sample {
    File { content: Vec<u8>, executable: bool },
    Large { seed: u8 },
    Symlink { target: String },
    Labelled { content: Vec<u8>, label: Vec<u8> },
}

impl Sample {
    fn header(&self) -> FileHeader {
        match self {
            Self::File { executable, .. } => FileHeader::Regular {
                executable: *executable,
            },
            Self::Large { .. } | Self::Labelled { .. } => FileHeader::Regular { executable: true },
            Self::Symlink { target } => FileHeader::Symlink {
                target: target.clone(),
            },
        }
    }

    /// Returns the header of a file with an SELinux label, which composed trees do not have.
    fn any_header(&self) -> Option<AnyHeader> {
        let Self::Labelled { label, .. } = self else {
            return None;
        };
        Some(AnyHeader {
            uid: 0,
            gid: 0,
            mode: self.header().mode(),
            target: String::new(),
            xattrs: vec![(b"security.selinux\0".to_vec(), label.clone())],
        })
    }

    fn content(&self, spool_in: &Path) -> Content {
        match self {
            Self::File { content, .. } | Self::Labelled { content, .. } => content.clone().into(),
            Self::Symlink { .. } => Vec::new().into(),
            Self::Large { seed } => {
                let piece: Vec<u8> = (0..1_u32 << 18)
                    .flat_map(|n| n.wrapping_mul(n + u32::from(*seed)).to_le_bytes())
                    .collect();
                let bytes = piece.repeat(33);
                let len = bytes.len() as u64;
                let content = Content::read(&mut &bytes[..], len, spool_in).unwrap();
                assert!(matches!(content, Content::Spooled(_, found) if found == len));
                content
            }
        }
    }
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let content = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..3000),
        (any::<u8>(), 0..200_000_usize).prop_map(|(byte, len)| vec![byte; len]),
    ];
    let file = (content, any::<bool>()).prop_map(|(content, executable)| Sample::File {
        content,
        executable,
    });
    let symlink = "[a-z./]{1,300}".prop_map(|target| Sample::Symlink { target });
    proptest::collection::vec(prop_oneof![9 => file, 1 => symlink], 1..20)
}

/// Returns the modes that can be tested with the privileges of the current user.
fn modes() -> Vec<RepoMode> {
    let mut modes = vec![
        RepoMode::Archive,
        RepoMode::BareUser,
        RepoMode::BareUserOnly,
    ];
    if rustix::process::geteuid().is_root() {
        modes.push(RepoMode::Bare);
    }
    modes
}

/// Writes each sample twice into a new repository; libostree verifies all objects.
fn write<W: ObjectWriter>(
    mode: RepoMode,
    samples: &[Sample],
    writer: impl FnOnce(&Transaction<'_>) -> W,
) -> BTreeMap<String, Object> {
    let folder = tempfile::tempdir().unwrap();
    let repo = Repo::create(folder.path(), mode).unwrap();
    let transaction = repo.begin().unwrap();
    let mut writer = writer(&transaction);
    let mut ids = Vec::new();
    for sample in samples {
        let (header, content) = (sample.header(), sample.content(folder.path()));
        let any = sample.any_header();
        let mut hasher = match &any {
            Some(any) => FileHasher::framed(&any.framed()),
            None => FileHasher::new(&header),
        };
        content
            .for_each(|bytes| {
                hasher.update(bytes);
                Ok(())
            })
            .unwrap();
        let id = hasher.finish();
        let write = |writer: &mut W| match &any {
            Some(any) => writer.write_any(id, any, &content).unwrap(),
            None => writer.write(id, &header, &content).unwrap(),
        };
        write(&mut writer);
        assert!(writer.has(id).unwrap(), "in the transaction");
        write(&mut writer);
        ids.push(id);
    }
    transaction.commit().unwrap();
    for id in ids {
        assert!(writer.has(id).unwrap(), "in the repository");
        repo.as_ostree()
            .fsck_object(
                ostree::ObjectType::File,
                &id.to_string(),
                gio::Cancellable::NONE,
            )
            .unwrap();
    }
    assert!(!writer.has(FileId::from([7; 32])).unwrap());
    assert_eq!(
        fs::read_dir(folder.path().join("tmp/cache"))
            .unwrap()
            .count(),
        0
    );
    objects(mode, &folder.path().join("objects"))
}

/// The attributes of a file object on disk. The content of an archived object is its header and the
/// decompressed content.
#[derive(Debug, PartialEq)]
struct Object {
    mode: u32,
    owner: (u32, u32),
    links: u64,
    /// Only for uncompressed files, for which libostree sets it.
    mtime: Option<i64>,
    metadata: Option<Vec<u8>>,
    content: Vec<u8>,
}

fn objects(mode: RepoMode, folder: &Path) -> BTreeMap<String, Object> {
    let mut found = BTreeMap::new();
    for folder in fs::read_dir(folder).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let stat = fs::symlink_metadata(&path).unwrap();
            let bare = mode != RepoMode::Archive;
            let content = if stat.is_symlink() {
                fs::read_link(&path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else if bare {
                fs::read(&path).unwrap()
            } else {
                unarchived(&fs::read(&path).unwrap())
            };
            let mut value = vec![0; 1000];
            let metadata = rustix::fs::lgetxattr(&path, "user.ostreemeta", &mut value[..])
                .ok()
                .map(|len| value[..len].to_vec());
            assert_eq!(metadata.is_some(), mode == RepoMode::BareUser);
            let object = Object {
                mode: stat.mode(),
                owner: (stat.uid(), stat.gid()),
                links: stat.nlink(),
                mtime: (bare && stat.is_file()).then(|| stat.mtime()),
                metadata,
                content,
            };
            found.insert(
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                object,
            );
        }
    }
    found
}

/// Returns the header of an archived file and its content as decompressed by zlib.
fn unarchived(object: &[u8]) -> Vec<u8> {
    let len = 8 + u32::from_be_bytes(object[..4].try_into().unwrap()) as usize;
    let (header, deflated) = object.split_at(len);
    let mut content = header.to_vec();
    if !deflated.is_empty() {
        let mut decoder = flate2::bufread::DeflateDecoder::new(deflated);
        decoder.read_to_end(&mut content).unwrap();
        assert_eq!(decoder.total_in(), deflated.len() as u64, "nothing follows");
    }
    content
}

fn assert_same_objects(mode: RepoMode, samples: &[Sample]) {
    let libostree = write(mode, samples, LibostreeWriter::new);
    let loose = write(mode, samples, |t| LooseWriter::new(t).unwrap());
    assert_eq!(loose, libostree, "{mode}");
    let named = write(mode, samples, |t| {
        LooseWriter::new(t).unwrap().without_unnamed_files()
    });
    assert_eq!(named, libostree, "{mode}, without unnamed files");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn both_writers_write_the_same_objects(samples in samples()) {
        for mode in modes() {
            assert_same_objects(mode, &samples);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn both_writers_write_the_same_labelled_files(
        content in proptest::collection::vec(any::<u8>(), 0..3000), label: Vec<u8>,
    ) {
        for mode in [RepoMode::Archive, RepoMode::BareUser] {
            let (content, label) = (content.clone(), label.clone());
            assert_same_objects(mode, &[Sample::Labelled { content, label }]);
        }
    }
}

#[test]
fn both_writers_write_the_same_large_files() {
    for mode in [RepoMode::Archive, RepoMode::BareUser] {
        assert_same_objects(mode, &[Sample::Large { seed: 77 }]);
    }
}

/// Creates a repository with additional lines in its configuration.
fn configured(folder: &Path, lines: &str) -> Repo {
    Repo::create(folder, RepoMode::Archive).unwrap();
    let path = folder.join("config");
    let config = fs::read_to_string(&path).unwrap();
    assert!(config.starts_with("[core]\n"), "{config}");
    fs::write(&path, config + lines).unwrap();
    Repo::open(folder).unwrap()
}

#[test]
fn unsupported_configurations_are_left_to_libostree() {
    let parent = tempfile::tempdir().unwrap();
    Repo::create(parent.path(), RepoMode::Archive).unwrap();
    let is_supported = |lines: &str| {
        let folder = tempfile::tempdir().unwrap();
        let repo = configured(folder.path(), lines);
        LooseWriter::new(&repo.begin().unwrap()).is_some()
    };
    assert!(is_supported(""));
    assert!(is_supported("fsync=false\nmin-free-space-size=1MB\n"));
    assert!(!is_supported("per-object-fsync=true\n"));
    assert!(!is_supported("payload-link-threshold=1\n"));
    assert!(!is_supported("disable-xattrs=true\n"));
    assert!(!is_supported(&format!(
        "parent={}\n",
        parent.path().display()
    )));
    assert!(!is_supported("[archive]\nzlib-level=9\n"));
    assert!(!is_supported("[ex-integrity]\nfsverity=maybe\n"));
    assert!(!is_supported("[ex-fsverity]\nopportunistic=true\n"));
}

#[test]
fn the_reserve_of_free_space_is_respected() {
    let folder = tempfile::tempdir().unwrap();
    let system = rustix::fs::statvfs(folder.path()).unwrap();
    // The free space except about 64 MB, to tolerate other writers.
    let reserve = ((system.f_bfree * system.f_frsize) >> 20).saturating_sub(64);
    let repo = configured(folder.path(), &format!("min-free-space-size={reserve}MB\n"));
    let transaction = repo.begin().unwrap();
    let header = FileHeader::Regular { executable: false };
    // Ten times the remaining space. Only the size of the content is used.
    let file = tempfile::tempfile().unwrap();
    let large = Content::Spooled(file, 640 << 20);
    let id = FileId::from([1; 32]);
    let mut writer = LooseWriter::new(&transaction).unwrap();
    let refused = writer.write(id, &header, &large).unwrap_err();
    assert!(matches!(refused, StoreError::InsufficientSpace { needed, .. } if needed > 640 << 20));
    assert_eq!(refused.kind(), ErrorKind::DiskFull);
    assert!(!writer.has(id).unwrap());
    let libostree = LibostreeWriter::new(&transaction).write(id, &header, &large);
    assert_eq!(libostree.unwrap_err().kind(), ErrorKind::DiskFull);
}

#[test]
fn whole_folders_are_moved_to_a_new_repository() {
    let written = |pieces: &[(u32, u32)]| {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repo::create(folder.path(), RepoMode::BareUser).unwrap();
        for (from, to) in pieces {
            let transaction = repo.begin().unwrap();
            let mut writer = LooseWriter::new(&transaction).unwrap();
            for number in *from..*to {
                let header = FileHeader::Regular { executable: false };
                let mut hasher = FileHasher::new(&header);
                hasher.update(&number.to_le_bytes());
                let content = number.to_le_bytes().to_vec().into();
                writer.write(hasher.finish(), &header, &content).unwrap();
            }
            transaction.commit().unwrap();
        }
        let left = fs::read_dir(folder.path().join("tmp")).unwrap();
        let left = left.flatten().filter(|entry| {
            let name = entry.file_name().into_encoded_bytes();
            name.starts_with(b"staging-") && !name.ends_with(b"-lock")
        });
        assert_eq!(left.count(), 0);
        let inside = folder.path().join("objects");
        let modes: Vec<u32> = fs::read_dir(&inside)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().mode())
            .collect();
        (objects(RepoMode::BareUser, &inside), modes)
    };
    // So few objects that libostree moves them and creates the folders.
    let (few, by_libostree) = written(&[(0, 20)]);
    assert_eq!(few.len(), 20);
    let (at_once, modes) = written(&[(0, 3000)]);
    assert_eq!((at_once.len(), modes.len()), (3000, 256));
    assert!(modes.iter().all(|mode| *mode == by_libostree[0]));
    // libostree moves objects to folders that exist.
    assert_eq!(written(&[(0, 1500), (1000, 3000)]).0, at_once);
    assert_eq!(written(&[(0, 20), (20, 3000)]).0, at_once);
}
