-- Creating, moving, merging and dropping classes.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never

-- Classes above are created too; again, the description changes; NULL leaves it.
SELECT reyearn_create_class('email.business.trips', 'journeys');
SELECT reyearn_create_class('email.business.trips');
SELECT reyearn_create_class('email.business'::ltree, 'work');
SELECT label, description FROM reyearn.classes ORDER BY label;
SELECT reyearn_create_class('email.business.trips', 'journeys for work');
SELECT description FROM reyearn.classes WHERE label = 'email.business.trips';

-- A rename is one row a class; a dry run says the same and changes nothing.
SELECT reyearn_annotate_text('to Rome on Monday', 'email.business.trips');
SELECT * FROM reyearn_move_class('email.business', 'email.work', dry_run => true);
SELECT label FROM reyearn.classes ORDER BY label;
SELECT * FROM reyearn_move_class('email.business', 'email.work');
SELECT label FROM reyearn.classes ORDER BY label;
SELECT label, text FROM reyearn.annotation_overview;

-- Into another branch, whose classes are created.
SELECT * FROM reyearn_move_class('email.work.trips', 'post.letters.trips');
SELECT label FROM reyearn.classes ORDER BY label;

-- Its own label: nothing to do.
SELECT * FROM reyearn_move_class('post', 'post');

-- Up, into labels that the branch itself leaves: in "a.b", the class "b" and its "c" have namesakes one level up.
SELECT reyearn_create_class('a.b.b.c');
SELECT reyearn_create_class('a.b.c');
SELECT reyearn_annotate_text('was ' || label::text, label) IS NOT NULL FROM reyearn.classes WHERE label <@ 'a' ORDER BY label;
SELECT * FROM reyearn_move_class('a.b', 'a');
SELECT label, text FROM reyearn.annotation_overview WHERE label <@ 'a' ORDER BY text;
SELECT count(*) FROM reyearn_drop_class('a');

-- A merge: where both classes were said of the same text and span, the stronger stays, then the newer.
SELECT reyearn_create_class('x.old.below');
SELECT reyearn_create_class('x.new');
SELECT reyearn_create_model('rooted', 'x.old');
SELECT reyearn_create_model('outside', 'post');
INSERT INTO reyearn.inbox (body, label, status, span) VALUES
    ('1 only old', 'x.old', 'confirmed', NULL),
    ('2 confirmed wins over rejected', 'x.old', 'confirmed', NULL),
    ('2 confirmed wins over rejected', 'x.new', 'rejected', NULL),
    ('3 rejected wins over predicted', 'x.old', 'predicted', NULL),
    ('3 rejected wins over predicted', 'x.new', 'rejected', NULL),
    ('4 predicted wins over unknown', 'x.old', 'predicted', NULL),
    ('4 predicted wins over unknown', 'x.new', 'unknown', NULL),
    ('5 of equals the newer', 'x.new', 'confirmed', NULL),
    ('5 of equals the newer', 'x.old', 'confirmed', NULL),
    ('6 spans differ', 'x.old', 'confirmed', '[0,1)'),
    ('6 spans differ', 'x.new', 'confirmed', '[2,7)'),
    ('7 spans are the same', 'x.old', 'rejected', '[2,7)'),
    ('7 spans are the same', 'x.new', 'predicted', '[2,7)');
CREATE TEMP TABLE before AS SELECT * FROM reyearn.annotations;
TRUNCATE reyearn.news;
SELECT class_id AS old FROM reyearn.classes WHERE label = 'x.old' \gset
SELECT * FROM reyearn_move_class('x.old', 'x.new', dry_run => true);
SELECT * FROM reyearn_move_class('x.old', 'x.new');
SELECT label FROM reyearn.classes WHERE label <@ 'x' ORDER BY label;
SELECT o.body, a.span, a.status, b.class_id = :old AS was_old,
       a.time_updated = b.time_updated AND a.annotated_by = b.annotated_by AS "who and when kept"
  FROM reyearn.annotations a JOIN before b USING (annotation_id)
  JOIN reyearn.observations o ON o.observation_id = a.observation_id
 WHERE o.body ~ '^\d' ORDER BY body, lower(a.span);
-- The model follows and learns; a model elsewhere hears nothing. The judgements are as old as they were.
SELECT name, label_root, waiting FROM reyearn.model_overview ORDER BY name;
SELECT count(*) FROM reyearn.annotation_history WHERE from_status IS NOT NULL AND to_status IS NOT NULL;

-- Merged classes point to what they have become in the end.
SELECT class_id AS new FROM reyearn.classes WHERE label = 'x.new' \gset
SELECT reyearn_create_class('x.newest');
SELECT rows FROM reyearn_move_class('x.new', 'x.newest') WHERE what = 'classes merged';
SELECT m.class_id = :old AS old, m.class_id = :new AS new, c.label
  FROM reyearn.merged_classes m JOIN reyearn.classes c ON c.class_id = m.into_class_id ORDER BY m.class_id;

-- A class that leaves or enters the root of a model is news for it, a rename below the root is not.
TRUNCATE reyearn.news;
SELECT rows FROM reyearn_move_class('x.newest', 'x.other') WHERE what = 'classes renamed';
SELECT name, label_root, waiting FROM reyearn.model_overview ORDER BY name;
SELECT rows FROM reyearn_move_class('post.letters.trips', 'trips') WHERE what = 'classes renamed';
SELECT name, label_root, waiting FROM reyearn.model_overview ORDER BY name;

-- Dropping.
SELECT * FROM reyearn_drop_class('x');
SELECT reyearn_drop_model('rooted');
TRUNCATE reyearn.news;
SELECT reyearn_alter_model('outside', label_root => '');
SELECT * FROM reyearn_drop_class('x', dry_run => true);
SELECT * FROM reyearn_drop_class('x'::ltree);
SELECT label FROM reyearn.classes ORDER BY label;
SELECT name, waiting FROM reyearn.model_overview;
SELECT count(*) FROM reyearn.merged_classes;

-- Errors.
SELECT reyearn_create_class('email..business');
SELECT reyearn_create_class('e-mail');
SELECT reyearn_create_class('');
SELECT reyearn_create_class(''::ltree);
SELECT reyearn_create_class(NULL::text);
SELECT reyearn_move_class('email', 'email.work');
SELECT reyearn_move_class('email.wrok', 'email.work');
SELECT reyearn_move_class('no.such.class', 'email.work', dry_run => true);
SELECT reyearn_move_class('email', 'a b');
SELECT reyearn_move_class('email', NULL);
SELECT reyearn_move_class(NULL::ltree, 'email');
SELECT reyearn_move_class('email', 'post', NULL);
SELECT reyearn_drop_class('email.play');
SELECT reyearn_drop_class(NULL::text);
