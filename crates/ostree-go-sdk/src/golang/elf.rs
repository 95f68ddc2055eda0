//! Reads the machine type from an ELF header.

/// Returns `e_machine` if `header` starts an ELF file; `header` needs at least the first 20
/// bytes of the file. Compare it with [`crate::arch::Arch::elf_machine`].
///
/// Source: System V ABI, chapter 4: `e_ident` begins with `\x7fELF`, its byte 5 is
/// `EI_DATA` (1 little-endian, 2 big-endian); `e_machine` is at offset 18.
#[must_use]
pub fn elf_machine(header: &[u8]) -> Option<u16> {
    let machine = [*header.get(18)?, *header.get(19)?];
    if !header.starts_with(b"\x7fELF") {
        return None;
    }
    match header[5] {
        1 => Some(u16::from_le_bytes(machine)),
        2 => Some(u16::from_be_bytes(machine)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use proptest::prelude::*;

    #[test]
    fn the_test_program_is_for_this_machine() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let host = Arch::host().map(Arch::elf_machine);
        assert_eq!(elf_machine(&program[..20]), host);
    }

    #[test]
    fn reads_both_byte_orders() {
        let mut header = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0";
        assert_eq!(elf_machine(&header), Some(Arch::Aarch64.elf_machine()));
        header[5] = 2;
        assert_eq!(elf_machine(&header), Some(0xb700));
        header[5] = 3;
        assert_eq!(elf_machine(&header), None);
        assert_eq!(elf_machine(b"#!/bin/sh\nexec go \"$@\"\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = elf_machine(&bytes);
        }
    }
}
