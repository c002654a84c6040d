-- A legacy clinic, small and ugly enough: soft deletes beside hard ones, names and addresses in tables of their own,
-- a column that is TOASTed, columns that no map reads. The map is schemas/maps/clinic/map.yaml.
-- No foreign keys, as in many an EHR: rows of one fact may arrive in any order, and orphans exist.

CREATE TABLE public.patient (
    patient_id bigint PRIMARY KEY,
    mrn        text NOT NULL,
    sex        text,
    born       date,
    is_test    boolean NOT NULL DEFAULT false,
    voided     boolean NOT NULL DEFAULT false,
    photo      bytea,
    weight     real,
    notes      text
);
-- Out of line and uncompressed, so that an update that leaves it alone does not bring it into the log.
ALTER TABLE public.patient ALTER COLUMN notes SET STORAGE EXTERNAL;

CREATE TABLE public.patient_name (
    name_id    bigint PRIMARY KEY,
    patient_id bigint NOT NULL,
    kind       text NOT NULL,
    family     text,
    given      text
);
CREATE INDEX ON public.patient_name (patient_id);

CREATE TABLE public.patient_address (
    address_id bigint PRIMARY KEY,
    patient_id bigint NOT NULL,
    street     text,
    city       text
);
CREATE INDEX ON public.patient_address (patient_id);

CREATE TABLE public.encounter (
    encounter_id bigint PRIMARY KEY,
    patient_id   bigint NOT NULL,
    class        text NOT NULL,
    status       text NOT NULL,
    started      timestamptz,
    ended        timestamptz,
    voided       boolean NOT NULL DEFAULT false
);

CREATE TABLE public.observation (
    observation_id bigint PRIMARY KEY,
    patient_id     bigint NOT NULL,
    encounter_id   bigint,
    loinc          text NOT NULL,
    label          text,
    value          numeric,
    unit           text,
    status         text NOT NULL,
    taken_at       timestamptz,
    note           text,
    voided         boolean NOT NULL DEFAULT false
);
