-- Times end in _at and are milliseconds since 1970 by the service's own clock: for people, order and queue limits. No lease is
-- decided by them. Booleans do not occur; what may be missing is NULL.

CREATE TABLE requirements (
  class INTEGER PRIMARY KEY,
  key   TEXT NOT NULL UNIQUE -- see matching/requirement.ts
) STRICT;

CREATE TABLE jobs (
  job               INTEGER PRIMARY KEY AUTOINCREMENT, -- its order is the order of submission, and never used again
  id                TEXT NOT NULL UNIQUE,
  owner             TEXT NOT NULL,
  name              TEXT,
  image             TEXT NOT NULL, -- as the job names it
  image_name        TEXT NOT NULL,
  priority          INTEGER NOT NULL,
  labels            TEXT NOT NULL, -- JSON
  class             INTEGER NOT NULL REFERENCES requirements (class),
  attempts_max      INTEGER NOT NULL,
  timeout_seconds   INTEGER NOT NULL,
  queue_seconds     INTEGER,
  submitted_at      INTEGER NOT NULL,
  state             TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'running', 'settled')),
  phase             TEXT,
  host              TEXT,
  attempts          INTEGER NOT NULL DEFAULT 0, -- made so far
  uncounted         INTEGER NOT NULL DEFAULT 0, -- of them, those that a restart of ours broke
  started_at        INTEGER,
  settled_at        INTEGER,
  verdict           TEXT,
  why               TEXT,
  cancel            TEXT,
  pinned_digest     TEXT,
  CHECK ((state = 'settled') = (verdict IS NOT NULL)),
  CHECK (attempts - uncounted <= attempts_max)
) STRICT;
CREATE INDEX jobs_of_owner ON jobs (owner, job);
CREATE INDEX jobs_named ON jobs (name, job) WHERE name IS NOT NULL;
CREATE INDEX jobs_of_image ON jobs (image_name, job);
CREATE INDEX jobs_with_verdict ON jobs (verdict, job) WHERE verdict IS NOT NULL;
CREATE INDEX jobs_open ON jobs (job) WHERE state <> 'settled';

-- Apart from `jobs`, so that a change of state does not write a long text again.
CREATE TABLE specs (
  job  INTEGER PRIMARY KEY REFERENCES jobs (job) ON DELETE CASCADE,
  body TEXT NOT NULL -- JSON of the wire job
) STRICT;

CREATE TABLE idempotency (
  owner  TEXT NOT NULL,
  key    TEXT NOT NULL,
  job    INTEGER NOT NULL REFERENCES jobs (job) ON DELETE CASCADE,
  digest TEXT NOT NULL, -- of the whole request, so that another one with the same key is noticed
  PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_of_job ON idempotency (job);

-- Exactly the jobs with state 'queued'.
CREATE TABLE queue (
  class        INTEGER NOT NULL,
  rank         INTEGER NOT NULL, -- the negative priority: the smallest goes first
  job          INTEGER NOT NULL UNIQUE REFERENCES jobs (job) ON DELETE CASCADE,
  submitted_at INTEGER NOT NULL,
  limit_at     INTEGER,
  PRIMARY KEY (class, rank, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_limits ON queue (limit_at) WHERE limit_at IS NOT NULL;

CREATE TABLE attempts (
  job        INTEGER NOT NULL REFERENCES jobs (job) ON DELETE CASCADE,
  number     INTEGER NOT NULL,
  lease      TEXT NOT NULL UNIQUE,
  host       TEXT NOT NULL,
  request    TEXT NOT NULL, -- the id that the host made for its request
  state      TEXT NOT NULL CHECK (state IN ('live', 'ended', 'fenced')),
  phase      TEXT NOT NULL,
  leased_at  INTEGER NOT NULL,
  ended_at   INTEGER,
  verdict    TEXT, -- JSON
  fault      TEXT, -- its code, when it broke
  why        TEXT, -- of a fenced one
  PRIMARY KEY (job, number),
  CHECK ((state = 'live') = (ended_at IS NULL))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX attempts_live ON attempts (job) WHERE state = 'live';
-- The id first: hosts make ids that grow, so what is asked together lies together.
CREATE UNIQUE INDEX attempts_asked ON attempts (request, host);
CREATE INDEX attempts_broken ON attempts (host, ended_at) WHERE fault IS NOT NULL;

CREATE TABLE reports (
  job     INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  body    TEXT NOT NULL, -- JSON of the verdict report, without verdict and artifacts
  UNIQUE (job, attempt),
  FOREIGN KEY (job, attempt) REFERENCES attempts (job, number) ON DELETE CASCADE
) STRICT;

CREATE TABLE artifacts (
  job     INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  path    TEXT NOT NULL,
  bytes   INTEGER NOT NULL,
  sha256  TEXT NOT NULL,
  PRIMARY KEY (job, attempt, path),
  FOREIGN KEY (job, attempt) REFERENCES attempts (job, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  job     INTEGER NOT NULL REFERENCES jobs (job) ON DELETE CASCADE,
  number  INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  kind    TEXT NOT NULL,
  attempt INTEGER,
  host    TEXT,
  phase   TEXT,
  verdict TEXT,
  fault   TEXT,
  says    TEXT NOT NULL,
  PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE hosts (
  name       TEXT PRIMARY KEY,
  offer      TEXT NOT NULL, -- JSON of what the host last said of itself
  first_at   INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL,
  drained_at INTEGER,
  drain      TEXT,
  lost_at    INTEGER,
  CHECK ((drained_at IS NULL) = (drain IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  role       TEXT NOT NULL CHECK (role IN ('admin', 'submitter', 'host', 'viewer')),
  hash       TEXT NOT NULL UNIQUE, -- SHA-256 of the secret
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE inputs (
  owner  TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  bytes  INTEGER NOT NULL,
  added_at INTEGER NOT NULL,
  PRIMARY KEY (owner, sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_inputs (
  job    INTEGER NOT NULL REFERENCES jobs (job) ON DELETE CASCADE,
  sha256 TEXT NOT NULL,
  PRIMARY KEY (job, sha256)
) STRICT, WITHOUT ROWID;
