-- Attached tables: rows that were there, rows that wait, labelling anew, probability and version. Nothing here needs a worker.
\set SHOW_CONTEXT never
CREATE EXTENSION reyearn;
SELECT count(reyearn_create_class(l)) FROM unnest('{mail.work,mail.home}'::text[]) AS l;
SELECT count(reyearn_annotate_text(b || i, l)) FROM generate_series(1, 4) AS i, (VALUES ('meeting ', 'mail.work'), ('dinner ', 'mail.home')) AS t (b, l);
SELECT reyearn_create_model('mail', 'mail', promotion => 'always') > 0 AS created;
CREATE VIEW said AS SELECT o.body, c.label::text AS label, a.status
  FROM reyearn.annotations AS a JOIN reyearn.observations AS o USING (tenant_id, observation_id) JOIN reyearn.classes AS c USING (tenant_id, class_id)
 WHERE o.body !~ '^(meeting|dinner) \d$';

-- Without a live version rows wait.
CREATE TABLE letter (id int PRIMARY KEY, body text, label text, p real, v int);
INSERT INTO letter VALUES (1, 'a meeting', NULL), (2, 'the dinner', 'mail.home'), (3, NULL, NULL), (4, 'some meeting', 'mail.home');
SELECT reyearn_attach('letter', 'body', 'label', probability_column => 'p', version_column => 'v');
INSERT INTO letter (id, body, label) VALUES (5, 'no meeting', NULL), (6, 'meeting or dinner, dinner', NULL), (7, 'my dinner', 'mail.work'), (8, NULL, NULL), (9, 'deleted', NULL), (10, 'a person', NULL);
SELECT rows_seen, rows_labelled, rows_learned, rows_waiting, rows_refused, progress, last_error FROM reyearn.attachments;
SELECT * FROM said ORDER BY body;
DELETE FROM letter WHERE id = 9;
UPDATE letter SET label = 'mail.work' WHERE id = 10;
SELECT reyearn_catch_up('letter');
SELECT reyearn_relabel('letter');
SELECT outcome FROM reyearn_train('mail');
SELECT reyearn_catch_up('letter');
SELECT id, body, label, p > 0.5 AS p, v FROM letter ORDER BY id;
SELECT rows_seen, rows_labelled, rows_learned, rows_waiting, rows_refused, progress FROM reyearn.attachments;
SELECT reyearn_catch_up('letter');
SELECT count(*) FROM said;

-- Columns for probability and version say nothing of people's labels, and leave alone what somebody writes into them.
UPDATE letter SET label = 'mail.home' WHERE id = 1 RETURNING label, p, v;
UPDATE letter SET label = 'mail.work', p = 0.25 WHERE id = 5 RETURNING label, p, v;
UPDATE letter SET p = 0.75 WHERE id = 6 RETURNING label, p, v;
INSERT INTO letter (id, body) VALUES (11, 'a dinner') RETURNING label, p > 0.5 AS p, v;
UPDATE letter SET body = 'a meeting' WHERE id = 11 RETURNING label, p > 0.5 AS p, v;
UPDATE letter SET body = NULL WHERE id = 11 RETURNING label, p, v;
UPDATE letter SET body = 'a dinner' WHERE id = 11 RETURNING label, p > 0.5 AS p, v;
UPDATE letter SET label = NULL WHERE id = 11 RETURNING label, p, v;

-- Labelling anew: only what we wrote, only by another version, and not what a person has taken away.
SELECT reyearn_relabel('letter');
SELECT count(reyearn_annotate_text('dinner ' || i, 'mail.work')), count(reyearn_annotate_text('meeting ' || i, 'mail.home')) FROM generate_series(1, 4) AS i;
INSERT INTO letter (id, body) SELECT i, CASE WHEN i % 2 = 0 THEN 'meeting ' ELSE 'dinner, meeting ' END || i FROM generate_series(20, 29) AS i;
SELECT outcome FROM reyearn_train('mail');
SELECT reyearn_relabel('letter', (SELECT max(p) FROM letter WHERE id >= 20));
SELECT v, count(*) FROM letter WHERE id >= 20 GROUP BY v ORDER BY v;
SELECT reyearn_relabel('letter');
SELECT id, label, p > 0.5 AS p, v FROM letter WHERE id < 20 OR id IN (20, 21) ORDER BY id;
SELECT reyearn_relabel('letter');
SELECT body, label, status FROM said WHERE body ~ '^(a|no) ' ORDER BY body, label;
SELECT reyearn_relabel('letter', 2);
SELECT reyearn_relabel('said'), reyearn_relabel(NULL);
SELECT reyearn_catch_up('said');
SELECT reyearn_detach('letter');
SELECT reyearn_relabel('letter');

-- A row that keeps its label is not written again when it has no columns that say more.
CREATE TABLE plain (id int PRIMARY KEY, body text, label text);
INSERT INTO plain VALUES (1, 'meeting'), (2, 'dinner');
SELECT reyearn_attach('plain', 'body', 'label');
SELECT xmin AS written FROM plain WHERE id = 1 \gset
SELECT outcome FROM reyearn_train('mail', '{"alpha": 0.5}');
SELECT reyearn_relabel('plain');
SELECT id, label, xmin = :written AS is_untouched FROM plain ORDER BY id;
SELECT r.key, v.version FROM reyearn.attached_rows AS r JOIN reyearn.model_versions AS v USING (tenant_id, version_id)
 WHERE attachment_id = (SELECT max(attachment_id) FROM reyearn.attached_tables) ORDER BY key;

-- What the table refuses is told, and tried again on request.
ALTER TABLE plain ADD CONSTRAINT plain_label_check CHECK (label <> 'mail.work' OR id < 10) NOT VALID;
ALTER TABLE plain DISABLE TRIGGER USER;
INSERT INTO plain SELECT i, CASE WHEN i % 3 = 0 THEN 'dinner' ELSE 'meeting' END FROM generate_series(10, 14) AS i;
ALTER TABLE plain ENABLE TRIGGER USER;
SELECT reyearn_detach('plain'), reyearn_attach('plain', 'body', 'label');
SELECT id, label FROM plain ORDER BY id;
SELECT rows_labelled, rows_waiting, rows_refused, last_error FROM reyearn.attachments WHERE is_attached;
SELECT reyearn_relabel('plain');
ALTER TABLE plain DROP CONSTRAINT plain_label_check;
SELECT reyearn_relabel('plain');
SELECT id, label FROM plain ORDER BY id;
SELECT rows_labelled, rows_waiting, rows_refused FROM reyearn.attachments WHERE is_attached;
SELECT reyearn_detach('plain');
DROP TABLE plain;

-- What is remembered of rows stays when they are deleted, until it is to be forgotten.
CREATE TABLE gone (a text, b int, body text, label text, PRIMARY KEY (a, b));
SELECT reyearn_attach('gone', 'body', 'label');
INSERT INTO gone SELECT 'k', i, 'meeting' FROM generate_series(1, 12000) AS i;
DELETE FROM gone WHERE b > 5000;
INSERT INTO gone VALUES ('k', 12000, 'meeting', 'mail.home');
SELECT * FROM said WHERE body = 'meeting';
SELECT reyearn_forget_rows('gone');
SELECT rows_labelled FROM reyearn.attachments WHERE relation = 'gone'::regclass;
TRUNCATE gone;
DROP TABLE gone;
SELECT reyearn_forget_rows();
SELECT reyearn_forget_rows('letter');

-- existing => ignore learns nothing from labels that are there.
CREATE TABLE ignored (id int PRIMARY KEY, body text, label text);
INSERT INTO ignored VALUES (1, 'ignored meeting', 'mail.work'), (2, 'ignored dinner', NULL);
SELECT reyearn_attach('ignored', 'body', 'label', existing => 'ignore');
SELECT * FROM ignored ORDER BY id;
SELECT * FROM said WHERE body ~ 'ignored';
DROP TABLE ignored;

-- Several steps, keys of all kinds; operators of another schema.
CREATE SCHEMA elsewhere;
CREATE EXTENSION citext SCHEMA elsewhere;
CREATE TABLE many (a elsewhere.citext, b date, c numeric(6, 2), body text, label text, PRIMARY KEY (c, a, b));
INSERT INTO many SELECT 'K' || i % 7, date '2024-01-01' + i % 100, i, CASE WHEN i % 2 = 0 THEN 'meeting' ELSE 'dinner' END, CASE WHEN i % 5 = 0 THEN 'mail.home' END
  FROM generate_series(1, 2500) AS i;
CREATE TABLE parted (region text, id uuid, body text, label ltree, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('a');
CREATE TABLE parted_b (label ltree, body text, id uuid NOT NULL, region text NOT NULL);
ALTER TABLE parted ATTACH PARTITION parted_b FOR VALUES IN ('b');
INSERT INTO parted SELECT CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END, md5(i::text)::uuid, 'meeting ' || i FROM generate_series(1, 2100) AS i;
SET datestyle = 'German';
SELECT reyearn_attach('many', 'body', 'label'), reyearn_attach('parted', 'body', 'label');
RESET datestyle;
SELECT relation, rows_seen, rows_labelled, rows_learned, rows_waiting, progress FROM reyearn.attachments WHERE is_attached ORDER BY relation::text;
SELECT label, count(*) FROM many GROUP BY label ORDER BY label;
SELECT tableoid::regclass, count(*), count(label) FROM parted GROUP BY tableoid ORDER BY tableoid::regclass::text;
SELECT after FROM reyearn.key_expressions('many');
DROP TABLE many, parted;
DROP EXTENSION citext;

-- Which labels are whose, whatever has happened to the table.
CREATE TABLE whose (id int PRIMARY KEY, body text, label text, i int);
SELECT reyearn_attach('whose', 'body', 'label');
INSERT INTO whose (id, body) SELECT i, CASE WHEN i % 2 = 0 THEN 'whose meeting ' ELSE 'whose dinner ' END || i FROM generate_series(1, 6) AS i;
SELECT id, label FROM whose ORDER BY id;
-- A confirmed label stays, as long as the text does.
SELECT reyearn_confirm_row('whose', '1'), reyearn_confirm_row('whose', '2');
UPDATE whose SET body = 'whose dinner, anew' WHERE id = 2;
SELECT count(reyearn_annotate_text('dinner ' || i, 'mail.home')), count(reyearn_annotate_text('meeting ' || i, 'mail.work')) FROM generate_series(1, 4) AS i;
SELECT outcome FROM reyearn_train('mail');
SELECT reyearn_relabel('whose');
SELECT id, body, label FROM whose ORDER BY id;
-- Its class has another name; another table's rows come under the same keys; it has another key.
SELECT reyearn_detach('whose');
SELECT count(*) FROM reyearn_move_class('mail.work', 'mail.job');
UPDATE whose SET label = 'mail.job' WHERE label = 'mail.work';
SELECT reyearn_attach('whose', 'body', 'label');
SELECT body, label, status FROM said WHERE body ~ 'whose' ORDER BY body, label;
SELECT count(*) FROM reyearn_move_class('mail.job', 'mail.work');
SELECT reyearn_detach('whose');
TRUNCATE whose;
INSERT INTO whose (id, body) SELECT i, 'other meeting ' || i FROM generate_series(1, 4) AS i;
SELECT reyearn_attach('whose', 'body', 'label');
SELECT id, label IS NULL AS unlabelled FROM whose ORDER BY id;
UPDATE whose SET label = NULL, i = id + 1;
SELECT reyearn_relabel('whose'), reyearn_catch_up('whose');
SELECT count(label) FROM whose;
ALTER TABLE whose DROP CONSTRAINT whose_pkey, ADD PRIMARY KEY (i);
INSERT INTO whose VALUES (9, 'a meeting', NULL, 9) RETURNING label IS NULL AS unlabelled;
SELECT reyearn_catch_up('whose');
SELECT reyearn_detach('whose'), reyearn_attach('whose', 'body', 'label');
SELECT id, label IS NULL AS unlabelled FROM whose ORDER BY id;
DROP TABLE whose;
-- Keys too long to be remembered, and keys that are written otherwise elsewhere.
CREATE TABLE long (key text PRIMARY KEY, body text, label text);
SELECT reyearn_attach('long', 'body', 'label');
INSERT INTO long SELECT string_agg(md5(i::text), ''), 'long meeting' FROM generate_series(1, 75) AS i;
CREATE TABLE named (rel regclass PRIMARY KEY, body text, label text);
SELECT reyearn_attach('named', 'body', 'label');
CREATE TABLE paid (sum money PRIMARY KEY, body text, label text);
SELECT reyearn_attach('paid', 'body', 'label');
INSERT INTO paid VALUES (1.5, 'paid meeting');
SELECT reyearn_detach('long'), reyearn_attach('long', 'body', 'label'), reyearn_detach('paid'), reyearn_attach('paid', 'body', 'label');
SELECT body, label, status FROM said WHERE body ~ '^(long|paid)';
DROP TABLE named, paid, long;
-- A trigger of the table that fills labels has said nothing, and is no person.
CREATE TABLE filled (id int PRIMARY KEY, body text, label text);
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.label := coalesce(NEW.label, 'mail.home'); RETURN NEW; END $$;
CREATE TRIGGER fill BEFORE UPDATE ON filled FOR EACH ROW EXECUTE FUNCTION fill();
INSERT INTO filled VALUES (1, 'filled meeting');
SELECT reyearn_attach('filled', 'body', 'label');
TABLE filled;
SELECT body, label, status FROM said WHERE body ~ 'filled';
DROP TABLE filled;
DROP FUNCTION fill;

-- Rows that wait do so until they are labelled: under other keys, in other partitions, behind triggers and errors.
SELECT reyearn_create_model('later', 'mail', promotion => 'always') > 0 AS created;
SET client_min_messages = error;
CREATE TYPE kind AS ENUM ('a', 'b', 'c');
CREATE TABLE waits (id int PRIMARY KEY, body text, label text);
CREATE TABLE kinds (kind kind PRIMARY KEY, body text, label text);
CREATE TABLE parts (id int, r text, body text, label text, PRIMARY KEY (id, r)) PARTITION BY LIST (r);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b');
CREATE TABLE labels (label text PRIMARY KEY);
INSERT INTO labels VALUES ('mail.work'), ('mail.home');
CREATE TABLE deferred (id int PRIMARY KEY, body text, label text REFERENCES labels DEFERRABLE INITIALLY DEFERRED);
SELECT count(reyearn_attach(t, 'body', 'label', 'later')) FROM unnest('{waits,kinds,parts,deferred}'::regclass[]) AS t;
INSERT INTO waits SELECT i, 'a meeting ' || i FROM generate_series(1, 5) AS i;
INSERT INTO kinds SELECT k, 'a meeting' FROM unnest(enum_range(NULL::kind)) AS k;
INSERT INTO parts SELECT i, 'a', 'a meeting ' || i FROM generate_series(1, 3) AS i;
INSERT INTO deferred SELECT i, 'a meeting ' || i FROM generate_series(1, 3) AS i;
UPDATE waits SET id = 10 WHERE id = 1;
UPDATE waits SET label = 'mail.home' WHERE id = 2;
UPDATE waits SET label = NULL WHERE id = 2;
UPDATE parts SET r = 'b' WHERE id = 1;
ALTER TYPE kind RENAME VALUE 'b' TO 'bb';
SELECT outcome FROM reyearn_train('later');
RESET client_min_messages;
\set VERBOSITY terse
ALTER TABLE waits DISABLE TRIGGER USER;
SELECT reyearn_catch_up('waits');
ALTER TABLE waits ENABLE TRIGGER USER;
CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full USING MESSAGE = 'no space'; END $$;
CREATE TRIGGER no_space BEFORE UPDATE ON waits FOR EACH ROW EXECUTE FUNCTION no_space();
SELECT reyearn_catch_up('waits');
DROP TRIGGER no_space ON waits;
SELECT reyearn_catch_up('waits'), reyearn_catch_up('kinds'), reyearn_catch_up('parts'), reyearn_catch_up('deferred');
SELECT id, label FROM waits ORDER BY id;
SELECT kind, label FROM kinds ORDER BY kind;
SELECT tableoid::regclass, id, label FROM parts ORDER BY id;
SELECT id, label FROM deferred ORDER BY id;
SELECT relation, rows_labelled, rows_learned, rows_waiting, rows_refused, last_error FROM reyearn.attachments WHERE model = 'later' ORDER BY relation::text;
SELECT reyearn.catch_up(attachment_id, 0) FROM reyearn.attached_tables WHERE relation = 'deferred'::regclass;
SELECT id, label FROM deferred ORDER BY id;
\set VERBOSITY default
DROP TABLE waits, kinds, parts, deferred, labels;
DROP FUNCTION no_space;
DROP TYPE kind;
SELECT reyearn_drop_model('later');

-- Functions of the table run as its owner, with the settings of the session, and cannot do more.
CREATE ROLE shopkeeper;
CREATE SCHEMA shop AUTHORIZATION shopkeeper;
CREATE ROLE trainer;
SELECT reyearn_grant('shopkeeper', 'reader'), reyearn_grant('trainer', 'trainer');
SET ROLE shopkeeper;
CREATE TABLE shop.seen (who name, settings text);
CREATE TABLE shop.mails (id int PRIMARY KEY, body text, label text);
INSERT INTO shop.mails VALUES (1, 'meeting');
CREATE FUNCTION shop.look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO shop.seen VALUES (current_user, current_setting('search_path') || ' ' || current_setting('datestyle'));
    PERFORM set_config('search_path', 'shop, pg_catalog', false);
    BEGIN
        EXECUTE 'RESET ROLE';
    EXCEPTION WHEN OTHERS THEN
        INSERT INTO shop.seen VALUES ('', SQLERRM);
    END;
    RETURN NEW;
END $$;
CREATE FUNCTION shop.array_length(text[], int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO shop.seen VALUES (current_user, 'stolen'); RETURN 1; END $$;
CREATE FUNCTION shop.octet_length(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO shop.seen VALUES (current_user, 'stolen'); RETURN 1; END $$;
CREATE FUNCTION shop.see(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'shop, pg_catalog', false); RETURN true; END $$;
ALTER TABLE shop.mails ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY see ON shop.mails USING (shop.see(id));
CREATE TRIGGER look BEFORE UPDATE ON shop.mails FOR EACH ROW EXECUTE FUNCTION shop.look();
RESET ROLE;
SELECT reyearn_attach('shop.mails', 'body', 'label');
SHOW search_path;
SELECT * FROM shop.mails;
TABLE shop.seen;
RESET search_path;
-- Who does not own a table has it read by nobody.
GRANT USAGE ON SCHEMA shop TO trainer;
GRANT TRIGGER ON shop.mails TO trainer;
SET ROLE trainer;
INSERT INTO reyearn.attached_tables (relation, label_column, key_columns, model_tenant_id, model_id)
SELECT 'shop.mails', 'label', '{id}', tenant_id, model_id FROM reyearn.models;
INSERT INTO reyearn.catch_ups (attachment_id, confirms) VALUES (1, true);
UPDATE reyearn.catch_ups SET is_swept = false;
SELECT reyearn.catch_up((SELECT max(attachment_id) FROM reyearn.attached_tables), 1000);
RESET ROLE;
-- Constraints are asked with nobody's rights but those of whoever writes, and foreign keys past policies and indexes.
SET ROLE shopkeeper;
CREATE TABLE shop.steals (who name);
CREATE FUNCTION shop.steal(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO shop.steals VALUES (current_user); RETURN true; END $$;
CREATE FUNCTION shop.look_pure(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM shop.steal($1); RETURN true; END $$;
CREATE TABLE shop.kinds (name text PRIMARY KEY);
INSERT INTO shop.kinds VALUES ('mail.work'), ('mail.home');
GRANT REFERENCES, SELECT ON shop.kinds TO trainer;
GRANT INSERT ON shop.steals TO PUBLIC;
CREATE TABLE shop.checked (id int PRIMARY KEY, body text, label text CHECK (shop.steal(label)));
RESET ROLE;
CREATE TABLE bound (id int PRIMARY KEY, body text, label text REFERENCES shop.kinds);
SELECT reyearn_attach('bound', 'body', 'label'), reyearn_attach('shop.checked', 'body', 'label');
SET ROLE shopkeeper;
ALTER TABLE shop.kinds ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY look ON shop.kinds USING (shop.steal(name));
CREATE INDEX ON shop.kinds (name) WHERE shop.look_pure('x');
SELECT DISTINCT who FROM shop.steals;
TRUNCATE shop.steals;
RESET ROLE;
INSERT INTO bound VALUES (1, 'meeting') RETURNING label IS NOT NULL AS labelled;
SELECT DISTINCT who FROM shop.steals;
DROP TABLE bound;
-- A CHECK that changes its table, and one that writes to other attached tables; partitions with constraints of their own.
CREATE TABLE changing (id int PRIMARY KEY, body text, label text);
CREATE TABLE other (id serial PRIMARY KEY, body text, label text);
SELECT reyearn_attach('changing', 'body', 'label'), reyearn_attach('other', 'body', 'label');
CREATE FUNCTION change(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    GRANT SELECT ON changing TO shopkeeper;
    REVOKE SELECT ON changing FROM shopkeeper;
    FOR i IN 1 .. 80 LOOP INSERT INTO other (body) VALUES ('meeting'); END LOOP;
    RETURN true;
END $$;
ALTER TABLE changing ADD CHECK (change(label));
BEGIN;
DO $$ BEGIN FOR i IN 1 .. 33 LOOP INSERT INTO other (body) VALUES ('meeting'); END LOOP; END $$;
INSERT INTO changing SELECT i, 'meeting' FROM generate_series(1, 3) AS i;
COMMIT;
SELECT count(label) FROM changing;
CREATE TABLE ranges (id int PRIMARY KEY, body text, label text) PARTITION BY RANGE (id);
CREATE TABLE ranges_a PARTITION OF ranges FOR VALUES FROM (0) TO (10);
CREATE TABLE ranges_b PARTITION OF ranges FOR VALUES FROM (10) TO (20);
ALTER TABLE ranges_a ADD CHECK (label <> 'other');
ALTER TABLE ranges_b ADD CHECK (label NOT LIKE 'mail%');
SELECT reyearn_attach('ranges', 'body', 'label');
INSERT INTO ranges VALUES (4, 'meeting'), (14, 'meeting'), (5, 'meeting') RETURNING id, label IS NULL AS unlabelled;
DROP TABLE ranges, changing, other;
DROP FUNCTION change;
-- A long statement after many others keeps its notes, whatever other statements its triggers run.
CREATE TABLE minutes (id serial PRIMARY KEY, body text, label text);
CREATE TABLE sentences (id serial PRIMARY KEY, body text, label text);
SELECT reyearn_attach('minutes', 'body', 'label'), reyearn_attach('sentences', 'body', 'label');
CREATE FUNCTION split() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO sentences (body) VALUES (NEW.body || ' one'), (NEW.body || ' two'); RETURN NEW; END $$;
CREATE TRIGGER split BEFORE INSERT ON minutes FOR EACH ROW EXECUTE FUNCTION split();
BEGIN;
DO $$ BEGIN FOR i IN 1 .. 40 LOOP INSERT INTO minutes (body) VALUES ('agenda ' || i); END LOOP; END $$;
INSERT INTO minutes (body) SELECT 'minutes of dinner ' || i FROM generate_series(1, 100) AS i;
COMMIT;
SELECT relation, rows_labelled FROM reyearn.attachments WHERE relation IN ('minutes'::regclass, 'sentences'::regclass) ORDER BY relation::text;
-- A key that a trigger takes away while rows are labelled anew is the application's business.
CREATE TABLE keyless (id text PRIMARY KEY, body text, label text);
SELECT reyearn_attach('keyless', 'body', 'label');
INSERT INTO keyless VALUES ('a', 'meeting');
CREATE FUNCTION no_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := NULL; RETURN NEW; END $$;
CREATE TRIGGER no_key BEFORE UPDATE ON keyless FOR EACH ROW EXECUTE FUNCTION no_key();
UPDATE reyearn.attached_rows SET version_id = 0 WHERE key = '{a}';
SELECT reyearn_relabel('keyless');
SELECT rows_refused, last_error FROM reyearn.attachments WHERE relation = 'keyless'::regclass;
-- A text that another trigger takes away after it was labelled.
CREATE TABLE textless (id int PRIMARY KEY, body text, label ltree, kind ltree CHECK (kind IS NOT NULL));
SELECT reyearn_attach('textless', 'body', 'label'), reyearn_attach('textless', 'body', 'kind');
CREATE FUNCTION no_text() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.body := NULL; RETURN NEW; END $$;
CREATE TRIGGER "~~zz" BEFORE INSERT OR UPDATE ON textless FOR EACH ROW EXECUTE FUNCTION no_text();
INSERT INTO textless VALUES (1, 'meeting') RETURNING body, label IS NULL AS unlabelled;
UPDATE textless SET body = 'dinner' RETURNING body, label IS NULL AS unlabelled;
DROP TABLE textless;
DROP FUNCTION no_text;
-- What a person has taken away, also from a person, stays so.
CREATE TABLE cleared (id int PRIMARY KEY, body text, label text);
SELECT reyearn_attach('cleared', 'body', 'label');
INSERT INTO cleared VALUES (1, 'cleared meeting', 'mail.home'), (2, 'cleared meeting, too', NULL);
UPDATE cleared SET label = NULL;
SELECT reyearn_detach('cleared'), reyearn_attach('cleared', 'body', 'label');
TABLE cleared;
DROP TABLE minutes, sentences, keyless, cleared;
DROP FUNCTION split, no_key;
-- Cancelled by the application: that is the end of it.
CREATE OR REPLACE FUNCTION shop.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
ALTER TABLE shop.mails DISABLE TRIGGER USER;
INSERT INTO shop.mails VALUES (2, 'dinner');
ALTER TABLE shop.mails ENABLE TRIGGER USER;
SELECT reyearn_detach('shop.mails'), reyearn_attach('shop.mails', 'body', 'label');
SELECT * FROM shop.mails ORDER BY id;
SELECT rows_labelled, rows_waiting, rows_refused FROM reyearn.attachments WHERE relation = 'shop.mails'::regclass;
DROP SCHEMA shop CASCADE;

-- The triggers, made by hand: here for some rows only.
CREATE TABLE notes (id int PRIMARY KEY, body text, label text, source text);
SELECT reyearn_attach('notes', 'body', 'label');
SELECT attachment_id AS n FROM reyearn.attached_tables WHERE relation = 'notes'::regclass \gset
SELECT format('DROP TRIGGER %I ON notes', tgname) FROM pg_trigger WHERE tgrelid = 'notes'::regclass AND tgname LIKE '~~reyearn%' \gexec
CREATE TRIGGER "~~label" BEFORE INSERT OR UPDATE OF body, label, id ON notes
    FOR EACH ROW WHEN (NEW.source = 'web') EXECUTE FUNCTION reyearn.label_row(:'n');
INSERT INTO notes VALUES (1, 'meeting', NULL, 'web'), (2, 'meeting', NULL, 'mail') RETURNING id, label;
UPDATE notes SET label = 'mail.home' WHERE id = 1;
SELECT relation, text_column, label_column, is_attached, rows_labelled, rows_learned FROM reyearn.attachments WHERE relation = 'notes'::regclass;
SELECT reyearn_detach('notes');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'notes'::regclass;
DROP TABLE letter, notes;
DROP VIEW said;
REVOKE ALL ON SCHEMA public FROM shopkeeper, trainer;
DROP EXTENSION reyearn;
DROP SCHEMA elsewhere;
DROP ROLE shopkeeper, trainer;
