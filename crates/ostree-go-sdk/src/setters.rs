//! Setters of option types.

/// Generates setters from the documentation, the name and the type of fields. This is the only place
/// that decides how a setter takes its argument:
///
/// | field | argument |
/// |---|---|
/// | `name: Option<T>` | `impl Into<Option<T>>`, so that `x`, `Some(x)` and `None` can be passed |
/// | `name: Vec<T>` | `impl IntoIterator<Item = T>` |
/// | `name: T` | `T` |
/// | `clock` | `Arc<dyn Clock>` |
/// | `progress` | `Arc<dyn Progress>` |
/// | `sign_with`, which sets `keys` | `impl IntoIterator<Item = SigningKey>` |
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
        $crate::setters::setters! {
            $(#[$doc])+ clock: std::sync::Arc<dyn $crate::clock::Clock>;
            $($rest)*
        }
    };
    ($(#[$doc:meta])+ progress; $($rest:tt)*) => {
        $crate::setters::setters! {
            $(#[$doc])+ progress: std::sync::Arc<dyn $crate::progress::Progress>;
            $($rest)*
        }
    };
    ($(#[$doc:meta])+ $name:ident: Option<$type:ty>; $($rest:tt)*) => {
        $(#[$doc])+
        #[must_use]
        pub fn $name(mut self, $name: impl Into<Option<$type>>) -> Self {
            self.$name = $name.into();
            self
        }

        $crate::setters::setters! { $($rest)* }
    };
    ($(#[$doc:meta])+ $name:ident: Vec<$type:ty>; $($rest:tt)*) => {
        $(#[$doc])+
        #[must_use]
        pub fn $name(mut self, $name: impl IntoIterator<Item = $type>) -> Self {
            self.$name = $name.into_iter().collect();
            self
        }

        $crate::setters::setters! { $($rest)* }
    };
    ($(#[$doc:meta])+ $name:ident: $type:ty; $($rest:tt)*) => {
        $(#[$doc])+
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        }

        $crate::setters::setters! { $($rest)* }
    };
}

pub(crate) use setters;
