-- What leaves after months, and what a copy of this database has to know.

-- When the logs and artifacts of a settled job left; the job itself follows later.
ALTER TABLE jobs ADD COLUMN files_gone_at INTEGER;
CREATE INDEX jobs_with_files ON jobs (verdict, settled_at) WHERE verdict IS NOT NULL AND files_gone_at IS NULL;
CREATE INDEX jobs_bare ON jobs (settled_at) WHERE files_gone_at IS NOT NULL;
CREATE INDEX jobs_of_class ON jobs (class); -- finds requirements that no job has any more

ALTER TABLE queue ADD COLUMN owner TEXT NOT NULL DEFAULT '';
UPDATE queue SET owner = (SELECT owner FROM jobs WHERE jobs.job = queue.job);

-- When it was uploaded, named by a submit, or found to be held by a job that is not over.
ALTER TABLE inputs RENAME COLUMN added_at TO used_at;
CREATE INDEX inputs_by_age ON inputs (used_at);
CREATE INDEX job_inputs_of ON job_inputs (sha256);

-- Inputs that are on their way: what they will take counts for their owner as if it were there.
CREATE TABLE uploads (
  owner      TEXT NOT NULL,
  sha256     TEXT NOT NULL,
  bytes      INTEGER NOT NULL, -- of the whole
  touched_at INTEGER NOT NULL,
  PRIMARY KEY (owner, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_age ON uploads (touched_at);

-- copied_at: this file is a copy, made then by a backup.
CREATE TABLE facts (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
