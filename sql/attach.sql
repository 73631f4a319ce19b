-- Application tables: labels that fill themselves, what people's edits teach, and what is refused.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
SET datestyle = 'German';

SELECT count(reyearn_create_class(label)) FROM unnest('{mail.work,mail.home,mail.junk}'::text[]) AS label;
SELECT reyearn_create_model('mail', 'mail', promotion => 'always') > 0 AS created;
INSERT INTO reyearn.inbox (body, label)
SELECT body || ' ' || i, label
  FROM (VALUES ('the meeting agenda', 'mail.work'), ('bread for dinner', 'mail.home'), ('win money', 'mail.junk')) AS t (body, label),
       generate_series(1, 4) AS i;
SELECT outcome FROM reyearn_train('mail');
-- What people have said since.
CREATE VIEW said AS
SELECT o.body, c.label, a.status, a.annotated_by = current_user AS by_me
  FROM reyearn.annotations AS a JOIN reyearn.observations AS o USING (tenant_id, observation_id)
  JOIN reyearn.classes AS c USING (tenant_id, class_id)
 WHERE o.body !~ '[1-4]$';

-- Attaching: rows with a label are taken for confirmed, others are labelled.
CREATE TABLE mails (id int PRIMARY KEY, body text, label text, note text);
INSERT INTO mails VALUES (1, 'an agenda', 'mail.work'), (2, 'some bread', NULL), (3, NULL, NULL), (4, 'an unknown', 'nowhere');
SELECT reyearn_attach('mails', 'body', 'label');
SELECT * FROM mails ORDER BY id;
SELECT * FROM said ORDER BY body, label;
SELECT relation, text_column, label_column, model, is_attached, rows_labelled, last_error FROM reyearn.attachments;
TRUNCATE mails;
SELECT count(reyearn_forget(observation_id)) FROM reyearn.observations WHERE body !~ '[1-4]$';

-- A row without a label gets one in the same statement.
INSERT INTO mails (id, body) VALUES (10, 'the agenda'), (11, 'bread'), (12, NULL) RETURNING id, label;
SELECT key, label, probability > 0.5 AS likely FROM reyearn.attached_rows WHERE key > '{1}' ORDER BY key;
-- One with a label teaches; a class that does not exist is told of once a statement.
INSERT INTO mails (id, body, label) VALUES (13, 'a lottery', 'mail.junk');
INSERT INTO mails (id, body, label) VALUES (14, 'a', 'mail.new'), (15, 'b', 'no label!'), (16, 'c', 'mail.junk');
SELECT * FROM said ORDER BY body, label;

-- Correcting, with and without a change of the text.
UPDATE mails SET label = 'mail.home' WHERE id = 10;
UPDATE mails SET label = 'mail.junk', body = 'bread to win' WHERE id = 11;
SELECT * FROM said WHERE body ~ 'agenda|bread' ORDER BY body, label;
-- A text that changes is labelled again, but not over a person's label.
INSERT INTO mails (id, body) VALUES (20, 'money'), (21, 'money, money');
UPDATE mails SET body = 'dinner' WHERE id IN (10, 20) RETURNING id, label;
UPDATE mails SET body = NULL WHERE id = 20 RETURNING id, label;
UPDATE mails SET body = 'a meeting' WHERE id = 20 RETURNING id, label;
-- Writing back what is there, or what we wrote, confirms nothing.
UPDATE mails SET label = label, note = 'read' WHERE id IN (20, 21);
UPDATE mails SET label = 'mail.home' WHERE id = 21;
UPDATE mails SET label = 'mail.junk' WHERE id = 21;
SELECT * FROM said WHERE body ~ 'meeting|money' ORDER BY body, label;
-- Taking a label away: ours was wrong, a person's is withdrawn.
UPDATE mails SET label = NULL WHERE id = 20;
UPDATE mails SET label = NULL WHERE id = 13;
SELECT * FROM said WHERE body IN ('a meeting', 'a lottery') ORDER BY body, label;
-- Saying that it is right.
SELECT reyearn_confirm_row('mails', '21');
SELECT * FROM said WHERE body = 'money, money' ORDER BY body, label;
SELECT reyearn_confirm_row('mails', '99');
SELECT reyearn_confirm_row('mails', '1', '2');
SELECT reyearn_confirm_row('pg_class', '1');

-- COPY, INSERT ... SELECT, UPDATE ... FROM, MERGE, ON CONFLICT.
COPY mails (id, body, label) FROM stdin;
30	money	\N
31	an invoice	mail.work
32	bread	\N
\.
INSERT INTO mails (id, body) SELECT 40 + i, 'dinner ' || repeat('x', i) FROM generate_series(0, 2) AS i;
UPDATE mails SET label = new.label FROM (VALUES (40, 'mail.work'), (41, 'mail.home')) AS new (id, label) WHERE mails.id = new.id;
INSERT INTO mails (id, body) VALUES (30, 'the agenda'), (33, 'win') ON CONFLICT DO NOTHING RETURNING id, label;
INSERT INTO mails (id, body) VALUES (30, 'the agenda') ON CONFLICT (id) DO UPDATE SET body = excluded.body RETURNING id, label;
INSERT INTO mails (id, body) VALUES (30, 'bread') ON CONFLICT (id) DO UPDATE SET body = excluded.body, label = excluded.label RETURNING id, label;
INSERT INTO mails (id, body) VALUES (30, 'win money') ON CONFLICT (id) DO UPDATE SET label = excluded.label RETURNING id, body, label;
INSERT INTO mails (id, body, label) VALUES (32, 'toast', 'mail.home') ON CONFLICT (id) DO UPDATE SET body = excluded.body, label = excluded.label;
INSERT INTO mails (id, body, label) VALUES (32, 'toast', 'mail.junk') ON CONFLICT (id) DO UPDATE SET label = excluded.label;
MERGE INTO mails USING (VALUES (32, 'toast', 'mail.work'), (34, 'the agenda', NULL), (35, 'a memo', 'mail.work')) AS new (id, body, label) ON mails.id = new.id
 WHEN MATCHED THEN UPDATE SET label = new.label
 WHEN NOT MATCHED THEN INSERT (id, body, label) VALUES (new.id, new.body, new.label);
SELECT id, body, label FROM mails WHERE id >= 30 ORDER BY id;
SELECT body, label, status FROM said WHERE body ~ 'invoice|dinner|toast|memo|^bread$|^win|^money$' ORDER BY body, label;
SELECT key, label FROM reyearn.attached_rows WHERE key >= '{30}' ORDER BY key;

-- What was predicted for a row that was not inserted is ours under another key, too.
CREATE TABLE letters (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ext text UNIQUE, body text, label text);
SELECT reyearn_attach('letters', 'body', 'label', 'mail');
INSERT INTO letters (ext, body) VALUES ('m1', 'a letter on an agenda'), ('m2', 'no letter');
INSERT INTO letters (ext, body) VALUES ('m1', 'a letter on dinner') ON CONFLICT (ext) DO UPDATE SET body = excluded.body, label = excluded.label;
SELECT body, label, status FROM said WHERE body ~ 'letter';
SELECT key, label FROM reyearn.attached_rows AS r JOIN reyearn.attached_tables AS t USING (attachment_id) WHERE t.relation = 'letters'::regclass ORDER BY key;
-- A trigger that was made by hand cannot name other kinds of columns.
ALTER TABLE letters ADD COLUMN number bigint;
SELECT attachment_id AS letters FROM reyearn.attached_tables WHERE relation = 'letters'::regclass \gset
CREATE TRIGGER by_hand BEFORE INSERT OR UPDATE OF number, label ON letters FOR EACH ROW EXECUTE FUNCTION reyearn.label_row(:letters);
INSERT INTO letters (ext, number) VALUES ('m3', 4096);
DROP TABLE letters;
-- Tables whose rows a key does not tell apart, or whose key is not known yet.
CREATE TABLE parent (id int PRIMARY KEY, body text, label text);
CREATE TABLE child () INHERITS (parent);
SELECT reyearn_attach('parent', 'body', 'label', 'mail');
DROP TABLE parent CASCADE;
CREATE TABLE computed (n int, id int GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY, body text, label text);
SELECT reyearn_attach('computed', 'body', 'label', 'mail');
DROP TABLE computed;

-- Savepoints take back what was learned and remembered.
BEGIN;
SAVEPOINT s;
INSERT INTO mails (id, body, label) VALUES (50, 'gone', 'mail.work'), (51, 'bread', NULL);
ROLLBACK TO s;
INSERT INTO mails (id, body, label) VALUES (50, 'bread', NULL), (51, 'stays', 'mail.work');
SAVEPOINT s;
INSERT INTO mails (id, body) VALUES (50, 'bread');
ROLLBACK TO s;
UPDATE mails SET label = 'mail.work' WHERE id = 50;
COMMIT;
SELECT body, label, status FROM said WHERE body IN ('gone', 'stays', 'bread') ORDER BY body, label;
SELECT key, label FROM reyearn.attached_rows WHERE key >= '{50}' ORDER BY key;
-- Keys that change are followed.
INSERT INTO mails (id, body) VALUES (60, 'money');
UPDATE mails SET id = 61 WHERE id = 60;
UPDATE mails SET label = 'mail.work' WHERE id = 61;
SELECT body, label, status FROM said WHERE body = 'money' ORDER BY body, label;
-- Rows that are deleted and written anew, with what we wrote into them.
DELETE FROM mails WHERE id = 33;
INSERT INTO mails (id, body, label) VALUES (33, 'win', 'mail.junk');
SELECT count(*) FROM said WHERE body = 'win';
DELETE FROM mails WHERE id IN (34, 42);
INSERT INTO mails (id, body) VALUES (34, 'bread'), (42, 'win') RETURNING id, label;
SELECT key, label FROM reyearn.attached_rows WHERE key IN ('{34}', '{42}') ORDER BY key;

-- A class that is renamed, and rows that follow: nobody has said anything.
INSERT INTO mails (id, body) VALUES (62, 'dinner, dinner');
SELECT what, rows FROM reyearn_move_class('mail.home', 'mail.private') WHERE rows > 0;
UPDATE mails SET label = 'mail.private' WHERE id = 62;
UPDATE mails SET label = 'mail.work' WHERE id = 62;
SELECT body, label, status FROM said WHERE body = 'dinner, dinner' ORDER BY label;
SELECT what, rows FROM reyearn_move_class('mail.private', 'mail.home') WHERE rows > 0;

-- Other triggers: before ours they make the text, after ours they change or cancel the row.
CREATE FUNCTION make_text() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.body := coalesce(NEW.body, NEW.note); RETURN NEW; END $$;
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.note = 'cancel' THEN RETURN NULL; END IF;
    IF NEW.note = 'text' THEN NEW.body := 'another text'; END IF;
    IF NEW.note = 'label' THEN NEW.label := 'mail.work'; END IF;
    RETURN NEW; END $$;
CREATE TRIGGER make_text BEFORE INSERT ON mails FOR EACH ROW EXECUTE FUNCTION make_text();
CREATE TRIGGER "~~~meddle" BEFORE INSERT ON mails FOR EACH ROW EXECUTE FUNCTION meddle();
INSERT INTO mails (id, note) VALUES (70, 'dinner') RETURNING id, body, label;
INSERT INTO mails (id, body, note) VALUES (71, 'bread', 'cancel'), (72, 'bread', 'text'), (73, 'bread', 'label'), (74, 'bread', NULL) RETURNING id, body, label;
SELECT count(*) FROM said WHERE body ~ 'another' OR (body = 'bread' AND label = 'mail.home' AND status = 'confirmed');
SELECT key, label FROM reyearn.attached_rows WHERE key >= '{70}' ORDER BY key;
DROP TRIGGER make_text ON mails;
DROP TRIGGER "~~~meddle" ON mails;
-- Nested: an AFTER trigger that writes the table again.
CREATE FUNCTION reply() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.id < 200 THEN
        INSERT INTO mails (id, body) VALUES (NEW.id + 100, 'the agenda');
        UPDATE mails SET label = 'mail.junk' WHERE id = NEW.id;
    END IF;
    RETURN NULL; END $$;
CREATE TRIGGER reply AFTER INSERT ON mails FOR EACH ROW EXECUTE FUNCTION reply();
INSERT INTO mails (id, body) VALUES (101, 'dinner at eight'), (102, 'dinner at nine');
DROP TRIGGER reply ON mails;
SELECT id, label FROM mails WHERE id > 100 ORDER BY id;
SELECT body, label, status FROM said WHERE body ~ 'dinner at' ORDER BY body, label;

-- Detached and attached again: what was written is remembered. Renames are followed, and columns cannot go alone.
ALTER TABLE mails RENAME COLUMN body TO "Das ""Wort""";
ALTER TABLE mails RENAME COLUMN label TO "Straße";
ALTER TABLE mails RENAME TO "Briefe & mehr";
INSERT INTO "Briefe & mehr" (id, "Das ""Wort""") VALUES (80, 'the agenda') RETURNING "Straße";
SELECT relation, text_column, label_column, rows_labelled FROM reyearn.attachments;
ALTER TABLE "Briefe & mehr" DROP COLUMN "Straße";
ALTER TABLE "Briefe & mehr" ALTER COLUMN "Straße" TYPE varchar(9);
SELECT reyearn_detach('"Briefe & mehr"');
INSERT INTO "Briefe & mehr" (id, "Das ""Wort""") VALUES (81, 'the agenda') RETURNING "Straße";
INSERT INTO "Briefe & mehr" VALUES (82, 'the memory', 'mail.work');
SELECT relation, text_column, label_column, is_attached FROM reyearn.attachments;
SELECT count(*) AS before FROM said;
SELECT reyearn_attach('"Briefe & mehr"', 'Das "Wort"', 'Straße');
SELECT count(*) AS attachments FROM reyearn.attached_tables;
SELECT "Straße" FROM "Briefe & mehr" WHERE id = 81;
SELECT * FROM said WHERE body = 'the memory';
SELECT count(*) FROM said WHERE body = 'the agenda' AND status = 'confirmed' AND label = 'mail.work';
SELECT reyearn_detach('"Briefe & mehr"', 'Straße');
SELECT reyearn_detach('"Briefe & mehr"', 'Straße');
SELECT reyearn_attach('"Briefe & mehr"', 'Das "Wort"', 'Straße', existing => 'ignore');
DROP TABLE "Briefe & mehr";
SELECT count(*) FROM reyearn.attachments;

-- Keys of several columns, of dates and uuids; labels as ltree and as an enum.
CREATE TYPE category AS ENUM ('mail.work', 'mail.home');
CREATE TABLE posts (day date, "no " uuid, at timestamptz DEFAULT '2026-01-02 03:04:05+00', body varchar(100), "Label" ltree, kind category, PRIMARY KEY (day, "no ", at));
SELECT reyearn_attach('posts', 'body', 'kind');
ALTER TYPE category ADD VALUE 'mail.junk';
SELECT reyearn_attach('posts', 'body', 'kind');
-- A second attachment, of another model.
SELECT reyearn_create_model('other', 'mail', promotion => 'always') > 0 AS created;
SELECT outcome FROM reyearn_train('other');
SELECT reyearn_attach('posts', 'body', 'Label');
SELECT reyearn_attach('posts', 'body', 'Label', model => 'other');
INSERT INTO posts (day, "no ", body) VALUES ('2026-02-03', '00000000-0000-0000-0000-00000000000a', 'the agenda') RETURNING day, "Label", kind;
SELECT key, label FROM reyearn.attached_rows WHERE key[2] ~ '0000' ORDER BY attachment_id;
UPDATE posts SET kind = 'mail.home';
SELECT body, label, status FROM said WHERE body = 'the agenda' ORDER BY label;
SELECT reyearn_confirm_row('posts', '2026-02-03', '00000000-0000-0000-0000-00000000000A', '2026-01-02 04:04:05+01');
SELECT body, label, status FROM said WHERE body = 'the agenda' ORDER BY label;
SELECT label_column, model, rows_labelled FROM reyearn.attachments ORDER BY label_column;
SELECT reyearn_detach('posts');
SELECT label_column, is_attached FROM reyearn.attachments ORDER BY label_column;
DROP TABLE posts;

-- Partitions, also those added later.
CREATE TABLE parted (region text, id int, body text, label text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('a');
SELECT reyearn_attach('parted', 'body', 'label', 'mail');
CREATE TABLE parted_b (body text, junk int, label text, id int NOT NULL, region text NOT NULL);
ALTER TABLE parted_b DROP COLUMN junk;
ALTER TABLE parted ATTACH PARTITION parted_b FOR VALUES IN ('b');
INSERT INTO parted VALUES ('a', 1, 'the agenda', NULL), ('b', 1, 'bread', NULL), ('b', 2, 'a partition', 'mail.work') RETURNING tableoid::regclass, label;
INSERT INTO parted_b (id, region, body) VALUES (3, 'b', 'money') RETURNING label;
UPDATE parted SET region = 'a', id = 7 WHERE id = 2;
UPDATE parted SET region = 'a', id = 8 WHERE id = 3;
UPDATE parted SET region = 'a', id = 9, body = 'a meeting' WHERE region = 'b' AND id = 1 RETURNING label;
SELECT body, label, status FROM said WHERE body IN ('money', 'bread', 'a meeting') AND status = 'confirmed';
UPDATE parted SET label = 'mail.home' WHERE id = 1 AND region = 'a';
SELECT key, label FROM reyearn.attached_rows WHERE key[1] IN ('a', 'b') ORDER BY key;
SELECT body, label, status FROM said WHERE body = 'a partition';
SELECT reyearn_attach('parted_b', 'body', 'label', 'mail');
SELECT reyearn_detach('parted_a');
SELECT reyearn_detach('parted');
DROP TABLE parted;

-- The model is renamed, loses its live version, is dropped: the application goes on.
CREATE TABLE inbox (id int PRIMARY KEY, body text, label text);
SELECT reyearn_attach('inbox', 'body', 'label', 'other');
UPDATE reyearn.models SET name = 'renamed' WHERE name = 'other';
INSERT INTO inbox VALUES (1, 'the agenda') RETURNING label;
SELECT reyearn_drop_model('renamed');
INSERT INTO inbox VALUES (2, 'the agenda'), (3, 'bread') RETURNING label;
UPDATE inbox SET body = 'win' WHERE id = 1 RETURNING label;
SELECT model, rows_labelled, last_error FROM reyearn.attachments WHERE relation = 'inbox'::regclass;
SELECT reyearn_create_model('other', 'mail') > 0 AS created;
SELECT reyearn_detach('inbox'), reyearn_attach('inbox', 'body', 'label', 'other');
INSERT INTO inbox VALUES (4, 'the agenda'), (5, 'bread') RETURNING label;
INSERT INTO inbox VALUES (6, 'a person says', 'mail.home');
SELECT body, label, status FROM said WHERE body = 'a person says';
SELECT reyearn_detach('inbox'), reyearn_attach('inbox', 'body', 'label', 'mail');
SELECT * FROM inbox ORDER BY id;
-- A trigger lends nothing to other tables.
CREATE TABLE thief (id int PRIMARY KEY, body text, label text);
SELECT format('CREATE TRIGGER thief BEFORE INSERT OR UPDATE OF body, label ON thief FOR EACH ROW EXECUTE FUNCTION reyearn.label_row(%L)', max(attachment_id))
  FROM reyearn.attached_tables
\gset
:format;
INSERT INTO thief VALUES (1, 'the agenda') RETURNING label;
CREATE TABLE misuse (id int PRIMARY KEY, body text, label text);
CREATE TRIGGER misuse AFTER INSERT ON misuse FOR EACH ROW EXECUTE FUNCTION reyearn.label_row();
INSERT INTO misuse VALUES (1, 'the agenda');
SELECT reyearn.label_row();
-- Without its primary key a table is left alone.
ALTER TABLE inbox DROP CONSTRAINT inbox_pkey;
INSERT INTO inbox VALUES (7, 'the agenda') RETURNING label;
DROP TABLE inbox, thief, misuse;

-- Constraints on the label column: what they refuse is left out.
CREATE TABLE kinds (name varchar(40) PRIMARY KEY);
INSERT INTO kinds VALUES ('mail.work'), ('mail.junk');
CREATE TABLE bound (id int PRIMARY KEY, body text CHECK (body <> ''), label text REFERENCES kinds, kind text CHECK (kind IN ('mail.work', 'mail.home', 'mail.junk')));
SELECT reyearn_attach('bound', 'body', 'label', 'mail');
INSERT INTO kinds VALUES ('mail.home');
SELECT reyearn_attach('bound', 'body', 'label', 'mail'), reyearn_attach('bound', 'body', 'kind', 'mail');
INSERT INTO bound VALUES (1, 'the agenda'), (2, 'bread') RETURNING *;
DELETE FROM bound;
DELETE FROM kinds WHERE name = 'mail.home';
INSERT INTO bound VALUES (1, 'the agenda'), (2, 'bread'), (3, 'bread') RETURNING *;
INSERT INTO kinds VALUES ('mail.home');
INSERT INTO bound VALUES (4, 'bread') RETURNING *;
ALTER TABLE bound DROP CONSTRAINT bound_kind_check, ADD CONSTRAINT bound_kind_check CHECK (kind = 'mail.home') NOT VALID;
INSERT INTO bound VALUES (5, 'the agenda'), (6, 'bread') RETURNING *;
ALTER TABLE bound DROP CONSTRAINT bound_kind_check, ADD CONSTRAINT bound_kind_check CHECK (1 / (length(kind) - 9) > 0) NOT VALID;
INSERT INTO bound VALUES (7, 'bread') RETURNING *;
ALTER TABLE bound DROP CONSTRAINT bound_kind_check;
SELECT reyearn_catch_up('bound');
TABLE bound;
DROP TABLE bound, kinds;

-- What is refused.
CREATE TABLE no_key (id int, body text, label text);
CREATE TABLE late_key (id int PRIMARY KEY DEFERRABLE, body text, label text);
CREATE TABLE plain (id int PRIMARY KEY, body text, label text, n int, made text GENERATED ALWAYS AS (body) STORED, short varchar(8), must text NOT NULL);
CREATE VIEW plain_view AS TABLE plain;
CREATE TEMPORARY TABLE fleeting (id int PRIMARY KEY, body text, label text);
CREATE TABLE by_label (body text, label text PRIMARY KEY) PARTITION BY LIST (label);
SELECT reyearn_attach(NULL, 'body', 'label', 'mail');
SELECT reyearn_attach('plain', 'body', 'label', 'mail', NULL);
SELECT reyearn_attach('plain', 'body', 'label', 'mail', 'all');
SELECT reyearn_attach('plain', 'body', 'body', 'mail');
SELECT reyearn_attach('no_key', 'body', 'label', 'mail');
SELECT reyearn_attach('late_key', 'body', 'label', 'mail');
SELECT reyearn_attach('plain_view', 'body', 'label', 'mail');
SELECT reyearn_attach('fleeting', 'body', 'label', 'mail');
SELECT reyearn_attach('pg_class', 'relname', 'relname', 'mail');
SELECT reyearn_attach('pg_class', 'relname', 'reltype', 'mail');
SELECT reyearn_attach('reyearn.observations', 'body', 'metadata', 'mail');
SELECT reyearn_attach('plain_pkey', 'body', 'label', 'mail');
SELECT reyearn_attach('plain', 'nobody', 'label', 'mail');
SELECT reyearn_attach('plain', 'body', 'ctid', 'mail');
SELECT reyearn_attach('plain', 'n', 'label', 'mail');
SELECT reyearn_attach('plain', 'made', 'label', 'mail');
SELECT reyearn_attach('plain', 'body', 'n', 'mail');
SELECT reyearn_attach('plain', 'body', 'made', 'mail');
SELECT reyearn_attach('plain', 'body', 'short', 'mail');
SELECT reyearn_attach('plain', 'body', 'must', 'mail');
SELECT reyearn_attach('by_label', 'body', 'label', 'mail');
SELECT reyearn_attach('plain', 'body', 'label', 'nothing');
SELECT reyearn_attach('plain', 'body', 'label');
SELECT reyearn_attach('plain', 'body', 'label', 'mail');
SELECT reyearn_attach('plain', 'must', 'label', 'mail');
SELECT reyearn_detach('late_key');
SELECT reyearn_detach('plain', 'body');
SELECT reyearn_detach(NULL);
DROP TABLE no_key, late_key, plain, by_label CASCADE;
DROP VIEW said;
DROP EXTENSION reyearn;
DROP TYPE category;
