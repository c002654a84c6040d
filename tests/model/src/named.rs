//! Enumerations whose values say in a sentence what they are, and small sets of them.

/// An enumeration with a sentence for each value, and a set of its values.
macro_rules! named {
    ($(#[$doc:meta])* $one:ident, $(#[$set_doc:meta])* $set:ident { $($name:ident = $says:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $one { $(#[doc = $says] $name,)* }

        impl $one {
            /// All of them.
            pub const ALL: &[$one] = &[$($one::$name,)*];

            /// What it is, in a sentence.
            pub fn says(self) -> &'static str {
                match self { $($one::$name => $says,)* }
            }

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $($one::$name => stringify!($name),)* }
            }
        }

        $(#[$set_doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct $set(u64);

        impl $set {
            /// Every value.
            pub fn all() -> $set {
                $one::ALL.iter().fold($set::default(), |set, &one| set.with(one))
            }

            /// With this value.
            #[must_use]
            pub const fn with(self, one: $one) -> $set {
                $set(self.0 | 1 << one as u64)
            }

            /// Without these values.
            #[must_use]
            pub fn without(self, gone: &[$one]) -> $set {
                $set(gone.iter().fold(self.0, |set, &one| set & !(1 << one as u64)))
            }

            /// Whether the value is in.
            pub const fn has(self, one: $one) -> bool {
                self.0 & (1 << one as u64) != 0
            }

            /// The values of either.
            #[must_use]
            pub const fn union(self, other: $set) -> $set {
                $set(self.0 | other.0)
            }

            /// The values that are in, in their order.
            pub fn iter(self) -> impl Iterator<Item = $one> {
                $one::ALL.iter().copied().filter(move |&one| self.has(one))
            }
        }
    };
}
