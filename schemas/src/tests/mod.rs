//! The formats against `apache-avro` as oracle, and against arbitrary bytes.

mod logs;
mod oracle;
mod rows;
