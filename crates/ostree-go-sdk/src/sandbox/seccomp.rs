//! The system call filter for Landlock sandboxes: it denies what Landlock does not restrict.
//!
//! Numbers of system calls are those of the `libc` crate; newer ones are from `arch/x86/entry/syscalls/syscall_64.tbl`
//! and `scripts/syscall.tbl` of Linux 6.18, and are the same on x86_64 and aarch64.

use super::backend::Network;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// An error of building or installing the filter.
pub(super) type FilterError = Box<dyn std::error::Error + Send + Sync>;

/// Restricts the calling thread, and every process that it starts later.
///
/// # Errors
/// Returns an error if the kernel does not accept the filter.
pub(super) fn restrict_thread(network: Network, metadata: bool) -> Result<(), FilterError> {
    let mut denied = rules(ALWAYS);
    conditions(&mut denied)?;
    if !metadata {
        denied.extend(rules(METADATA));
        denied.extend(rules(LEGACY_METADATA));
    }
    denied.extend(rules(LEGACY));
    install(denied, libc::EPERM)?;
    install(sockets(network)?, libc::EACCES)?;
    // A program that gets ENOSYS uses an older system call. `clone3` has its flags in memory, where a filter
    // cannot look at them, and what system calls of later kernels do is unknown.
    let unknown = (FIRST_UNKNOWN..LAST_UNKNOWN).map(|number| (number, Vec::new()));
    let mut unknown: Rules = unknown.collect();
    unknown.insert(libc::SYS_clone3, Vec::new());
    install(unknown, libc::ENOSYS)
}

fn install(mut rules: Rules, errno: i32) -> Result<(), FilterError> {
    let target = TargetArch::try_from(std::env::consts::ARCH)?;
    if target == TargetArch::x86_64 {
        // Kernels with the x32 ABI have each system call twice, and a few of its own.
        let twins: Vec<_> = rules.keys().map(|number| number | X32).collect();
        for number in twins {
            let same = rules.get(&(number & !X32)).cloned().unwrap_or_default();
            rules.insert(number, same);
        }
        if errno == libc::ENOSYS {
            rules.extend(X32_ONLY.map(|number| (number | X32, Vec::new())));
        }
    }
    let action = SeccompAction::Errno(u32::try_from(errno)?);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, target)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}

/// `__X32_SYSCALL_BIT`. Source: `arch/x86/include/uapi/asm/unistd.h`.
const X32: i64 = 0x4000_0000;
/// The system calls that only x32 has. Source: `arch/x86/entry/syscalls/syscall_64.tbl`.
const X32_ONLY: std::ops::RangeInclusive<i64> = 512..=547;
/// The first system call number after those of Linux 6.18.
const FIRST_UNKNOWN: i64 = 470;
/// A number that no kernel reaches soon. x32 has numbers of its own from 512.
const LAST_UNKNOWN: i64 = 512;

fn rules(numbers: &[i64]) -> Rules {
    numbers.iter().map(|number| (*number, Vec::new())).collect()
}

/// What no build and no test needs, and Landlock does not restrict: the administration of the machine,
/// communication between processes that does not use files, and attributes of other processes.
const ALWAYS: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_ioprio_set,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_migrate_pages,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_msgctl,
    libc::SYS_msgget,
    libc::SYS_msgrcv,
    libc::SYS_msgsnd,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_quotactl,
    QUOTACTL_FD,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_semctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_setpriority,
    libc::SYS_settimeofday,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_shmget,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
    OPEN_TREE_ATTR,
];

const QUOTACTL_FD: i64 = 443;
const OPEN_TREE_ATTR: i64 = 467;

/// Changes of attributes of files, which Landlock allows for all files of the user, and notifications about the
/// entries of directories that cannot be read.
const METADATA: &[i64] = &[
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_inotify_add_watch,
    libc::SYS_lremovexattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_setxattr,
    libc::SYS_utimensat,
    SETXATTRAT,
    REMOVEXATTRAT,
    FILE_SETATTR,
];

const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const FILE_SETATTR: i64 = 469;

/// The same, by system calls that x86_64 has besides.
#[cfg(target_arch = "x86_64")]
const LEGACY_METADATA: &[i64] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_futimesat,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
];
#[cfg(target_arch = "x86_64")]
const LEGACY: &[i64] = &[
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY_METADATA: &[i64] = &[];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY: &[i64] = &[];

/// `CLONE_NEW*` of `include/uapi/linux/sched.h`.
const NEW_NAMESPACES: u64 = 0x7e02_0000;
/// Requests of ioctl(2) that put characters into the input of a terminal, and that change the attributes of a
/// file: `TIOCSTI`, `TIOCLINUX`, `FS_IOC_SETFLAGS`, `FS_IOC_FSSETXATTR`.
const REQUESTS: [u64; 4] = [0x5412, 0x541c, 0x4008_6602, 0x401c_5820];

/// Adds system calls of which only some uses are denied.
fn conditions(rules: &mut Rules) -> Result<(), FilterError> {
    let of = |argument, length, operator, value| {
        SeccompRule::new(vec![SeccompCondition::new(
            argument, length, operator, value,
        )?])
    };
    let requests =
        REQUESTS.map(|request| of(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request));
    let requests: Result<Vec<_>, _> = requests.into_iter().collect();
    rules.insert(libc::SYS_ioctl, requests?);
    let mut namespaces = Vec::new();
    let bits = (0..u64::BITS).map(|bit| 1 << bit);
    for flag in bits.filter(|flag| NEW_NAMESPACES & flag != 0) {
        let is_set = SeccompCmpOp::MaskedEq(flag);
        namespaces.push(of(0, SeccompCmpArgLen::Qword, is_set, flag)?);
    }
    rules.insert(libc::SYS_clone, namespaces);
    // Limits and the CPUs of other processes.
    for number in [libc::SYS_prlimit64, libc::SYS_sched_setaffinity] {
        let other = of(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, 0)?;
        rules.insert(number, vec![other]);
    }
    Ok(())
}

/// Returns the sockets that cannot be created. With the network of the host, Unix sockets still cannot, because
/// they reach services such as a container engine.
fn sockets(network: Network) -> Result<Rules, FilterError> {
    let rules = match network {
        Network::None => Vec::new(),
        Network::Host => {
            let family = u64::try_from(libc::AF_UNIX)?;
            let unix = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family)?;
            vec![SeccompRule::new(vec![unix])?]
        }
    };
    Ok(Rules::from([(libc::SYS_socket, rules)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a closure on a thread with the filter.
    fn restricted<T: Send>(network: Network, metadata: bool, test: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                restrict_thread(network, metadata).unwrap();
                test()
            });
            thread.join().unwrap()
        })
    }

    #[test]
    fn sockets_are_denied_without_a_network() {
        use std::net::{TcpListener, UdpSocket};
        use std::os::unix::net::UnixDatagram;
        restricted(Network::None, true, || {
            for error in [
                TcpListener::bind("127.0.0.1:0").map(drop),
                UdpSocket::bind("127.0.0.1:0").map(drop),
                UnixDatagram::unbound().map(drop),
            ] {
                assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::EACCES));
            }
            assert!(UnixDatagram::pair().is_ok());
        });
        restricted(Network::Host, true, || {
            assert!(TcpListener::bind("127.0.0.1:0").is_ok());
            assert!(UnixDatagram::unbound().is_err());
        });
    }

    #[test]
    fn attributes_of_files_are_changed_only_if_that_is_accepted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let change = || {
            let permissions = file.path().metadata().unwrap().permissions();
            std::fs::set_permissions(file.path(), permissions)
        };
        assert!(restricted(Network::None, true, change).is_ok());
        let error = restricted(Network::None, false, change).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn programs_can_be_started() {
        let status = restricted(Network::None, false, || {
            std::process::Command::new("true").status().unwrap()
        });
        assert!(status.success());
    }
}
