//! A strict FHIR server, a legacy clinic and a writer.
