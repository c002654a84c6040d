//! One file a command.

pub mod activate;
pub mod check;
pub mod held;
pub mod init;
pub mod journal;
pub mod parked;
pub mod replay;
pub mod run;
pub mod source;
pub mod state;
pub mod status;
pub mod unit;
pub mod verify;
pub mod waiting;
