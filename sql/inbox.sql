-- Bulk loading through the view reyearn.inbox.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS reyearn;
CREATE EXTENSION reyearn CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
SELECT reyearn_create_class('mail.work'), reyearn_create_class('mail.home');

COPY reyearn.inbox (body, label) FROM stdin;
agenda for ten	mail.work
see you at home	mail.home
agenda for ten	mail.work
to be read	\N
\.
COPY reyearn.inbox FROM stdin WITH (FORMAT csv);
"a party, at last",mail.home,"{""from"": ""ann""}",predicted,
"a party, at last",mail.work,"{""to"": ""bob""}",,"[2,7)"
\.
INSERT INTO reyearn.inbox (body, label) SELECT 'number ' || i, 'mail.work' FROM generate_series(1, 3) AS i;
TABLE reyearn.inbox ORDER BY body, label;
SELECT body, metadata FROM reyearn.observations ORDER BY observation_id;

-- Errors say which line; nothing is stored.
\set SHOW_CONTEXT errors
COPY reyearn.inbox (body, label) FROM stdin;
good	mail.work
bad	mail.wrok
\.
\set SHOW_CONTEXT never
INSERT INTO reyearn.inbox (body, label) VALUES (NULL, 'mail.work');
INSERT INTO reyearn.inbox (body, label) VALUES ('bad', 'not a label');
INSERT INTO reyearn.inbox (body, label, status) VALUES ('bad', 'mail.work', 'sure');
INSERT INTO reyearn.inbox (body, label, span) VALUES ('bad', 'mail.work', '[0,4)');
INSERT INTO reyearn.inbox (body, metadata) VALUES ('bad', '1');
SELECT count(*) FROM reyearn.observations WHERE body IN ('good', 'bad');
UPDATE reyearn.inbox SET label = 'mail.home';
DELETE FROM reyearn.inbox;
