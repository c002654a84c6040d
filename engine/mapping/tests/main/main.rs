//! Maps as their users see them: a file in, faults or a map out; rows in, a resource out.

mod fixture;
mod functions;
mod golden;
mod laws;
mod misfits;
mod readme;
mod shapes;
mod wrong;
