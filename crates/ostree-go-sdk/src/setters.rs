//! Setters that several option types have in common.

/// Generates setters, with the documentation that precedes each name: `sign_with` sets the field
/// `keys`, `clock` and `progress` set the field of the same name.
macro_rules! setters {
    () => {};
    ($(#[$doc:meta])+ sign_with; $($rest:tt)*) => {
        $(#[$doc])+
        #[must_use]
        pub fn sign_with(
            mut self,
            keys: impl IntoIterator<Item = $crate::sign::SigningKey>,
        ) -> Self {
            self.keys = keys.into_iter().collect();
            self
        }

        $crate::setters::setters! { $($rest)* }
    };
    ($(#[$doc:meta])+ clock; $($rest:tt)*) => {
        $(#[$doc])+
        #[must_use]
        pub fn clock(mut self, clock: std::sync::Arc<dyn $crate::clock::Clock>) -> Self {
            self.clock = clock;
            self
        }

        $crate::setters::setters! { $($rest)* }
    };
    ($(#[$doc:meta])+ progress; $($rest:tt)*) => {
        $(#[$doc])+
        #[must_use]
        pub fn progress(
            mut self,
            progress: std::sync::Arc<dyn $crate::progress::Progress>,
        ) -> Self {
            self.progress = progress;
            self
        }

        $crate::setters::setters! { $($rest)* }
    };
}

pub(crate) use setters;
