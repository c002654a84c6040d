//! The server over real sockets: by the specification, like HAPI, and when it fails on demand.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod hapi;
#[cfg(test)]
mod spec;
#[cfg(test)]
mod support;
