//! The cpio archive in an RPM.
//!
//! Source: cpio(5), "New ASCII Format"; rpm, `lib/cpio.c`.

use std::io::{self, Read};

/// Magic numbers of an entry, and of the variant whose last field is a checksum.
const MAGIC: [&[u8]; 2] = [b"070701", b"070702"];

/// Magic number in packages with files over 4 GiB, where entries are indexes into the header.
const STRIPPED: &[u8] = b"07070X";

/// Number of fields after the magic number, of 8 hexadecimal digits each.
const FIELDS: usize = 13;

/// Maximum length of a name (Linux's `PATH_MAX`, plus the leading `.`).
const NAME: u32 = 4097;

/// Name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// An entry, before its content.
#[derive(Debug)]
pub struct Entry {
    /// The name, usually with a leading `./`, and without a final `/`.
    pub name: Vec<u8>,
    pub mode: u32,
    pub size: u64,
    /// The number of names of the file in this archive.
    pub links: u32,
    /// Inode and device, equal for all names of a file.
    pub file: [u32; 3],
}

/// A reader of an archive.
pub struct Cpio<R> {
    stream: R,
    /// The remaining bytes of the content and its padding.
    content: u64,
    padding: u64,
}

impl<R: Read> Cpio<R> {
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            content: 0,
            padding: 0,
        }
    }

    /// Returns the next entry, or `None` at the end. The previous content must have been read.
    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        let before = self.content + self.padding;
        skip(&mut self.stream, before)?;
        (self.content, self.padding) = (0, 0);
        let mut magic = [0; 6];
        self.stream.read_exact(&mut magic)?;
        if magic == STRIPPED {
            return Err(invalid("it is in the form for files over 4 GiB"));
        }
        if !MAGIC.contains(&magic.as_slice()) {
            return Err(invalid("it is not a cpio archive in the new ASCII format"));
        }
        let mut digits = [0; 8 * FIELDS];
        self.stream.read_exact(&mut digits)?;
        let mut fields = [0; FIELDS];
        for (field, digits) in fields.iter_mut().zip(digits.chunks_exact(8)) {
            *field =
                hexadecimal(digits).ok_or_else(|| invalid("an entry has a malformed number"))?;
        }
        let [
            inode,
            mode,
            _,
            _,
            links,
            _,
            size,
            major,
            minor,
            _,
            _,
            name_size,
            _,
        ] = fields;
        if name_size == 0 || name_size > NAME {
            return Err(invalid("the name of an entry is empty or too long"));
        }
        let mut name = vec![0; name_size as usize];
        self.stream.read_exact(&mut name)?;
        if name.pop() != Some(0) {
            return Err(invalid("the name of an entry has no final NUL"));
        }
        let head = (magic.len() + digits.len()) as u64 + u64::from(name_size);
        skip(&mut self.stream, padding(head))?;
        if name == TRAILER {
            return Ok(None);
        }
        let size = u64::from(size);
        (self.content, self.padding) = (size, padding(size));
        Ok(Some(Entry {
            name,
            mode,
            size,
            links,
            file: [inode, major, minor],
        }))
    }

    /// Returns a reader of the content of the last entry.
    pub fn content(&mut self) -> impl Read {
        Content(self)
    }

    /// Returns the stream after the end of the archive.
    pub fn into_inner(self) -> R {
        self.stream
    }
}

struct Content<'a, R>(&'a mut Cpio<R>);

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let cpio = &mut *self.0;
        let read = (&mut cpio.stream).take(cpio.content).read(buffer)?;
        cpio.content -= read as u64;
        Ok(read)
    }
}

/// Returns the padding to a multiple of four bytes, for entries and contents.
fn padding(length: u64) -> u64 {
    length.next_multiple_of(4) - length
}

fn skip(stream: &mut impl Read, length: u64) -> io::Result<()> {
    if io::copy(&mut stream.take(length), &mut io::sink())? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        Some(number << 4 | char::from(*digit).to_digit(16)?)
    })
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
