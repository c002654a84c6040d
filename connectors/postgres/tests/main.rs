//! The connector against a real PostgreSQL.
