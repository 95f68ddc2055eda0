//! SIGINT and SIGTERM.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that SIGINT and SIGTERM set.
#[derive(Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Installs the handlers of the process. Before this, both signals end the process at once.
    ///
    /// `on_signal` is called on another thread when a signal arrives.
    ///
    /// There must be only one call per process: a signal that arrives between two operations has to
    /// stop the second one, so both must look at the same flag.
    pub fn install(on_signal: impl Fn() + Send + 'static) -> Self {
        let requested = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // A second signal ends the process at once, which does not damage the repository.
            let _ = flag::register_conditional_shutdown(signal, 130, requested.clone());
            let _ = flag::register(signal, requested.clone());
        }
        // Without the thread, the message comes with the next look at the flag.
        if let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) {
            let watch = move || signals.forever().for_each(|_| on_signal());
            let _ = std::thread::Builder::new().spawn(watch);
        }
        Self(requested)
    }

    /// Returns true if a signal has arrived.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
