//! The archive inside an RPM.
//!
//! Source: cpio(5), "New ASCII Format"; rpm, `lib/cpio.c`.

use std::io::{self, Read};

/// What an entry begins with, and its variant whose last field is a checksum.
const MAGIC: [&[u8]; 2] = [b"070701", b"070702"];

/// The variant of packages with files over 4 GiB, where an entry is an index into the header.
const STRIPPED: &[u8] = b"07070X";

/// What follows the magic: 13 fields of 8 hexadecimal digits.
const FIELDS: usize = 13;

/// The longest name (Linux's `PATH_MAX`, and a `.` before it).
const NAME: u32 = 4097;

/// The name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// An entry, before its content.
#[derive(Debug)]
pub struct Entry {
    /// With a final `/` nowhere, and mostly with `./` before it.
    pub name: Vec<u8>,
    pub mode: u32,
    pub size: u64,
    /// How many names the file has in this archive.
    pub links: u32,
    /// Inode and device: equal for all names of a file.
    pub file: [u32; 3],
}

/// An archive that is read from its start.
pub struct Cpio<R> {
    stream: R,
    /// What is left of the content, and the padding that follows it.
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

    /// The next entry; `None` at the end. The content of the one before has been read.
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
            return Err(invalid("it is no cpio archive in the new ASCII format"));
        }
        let mut digits = [0; 8 * FIELDS];
        self.stream.read_exact(&mut digits)?;
        let mut fields = [0; FIELDS];
        for (field, digits) in fields.iter_mut().zip(digits.chunks_exact(8)) {
            *field = hexadecimal(digits).ok_or_else(|| invalid("an entry has no numbers"))?;
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
            return Err(invalid("the name of an entry does not end"));
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

    /// The content of the entry that came last, up to its end.
    pub fn content(&mut self) -> impl Read {
        Content(self)
    }

    /// What follows the end.
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

/// Entries and contents are padded to a multiple of four bytes.
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
