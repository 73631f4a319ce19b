# Nothing of one tenant reaches another: not through keys, statistics, errors, plans, locks or notices, nor by code that a
# tenant has others run; and none stops another's trainings. mallory has all the rights that a tenant can have.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = start_server('main', q{
	shared_preload_libraries = 'reyearn'
	reyearn.max_workers = 2
	reyearn.probe_interval = 1
	log_min_messages = debug1
	track_activities = on
	autovacuum = off
	maintenance_work_mem = 128MB
	max_wal_size = 4GB
	});
create_database($node, 'mail');
sub query { return $node->safe_psql('mail', $_[0]) }

query(q{
	CREATE ROLE acme; CREATE ROLE beta;
	CREATE ROLE mallory LOGIN IN ROLE acme; CREATE ROLE ann LOGIN IN ROLE acme; CREATE ROLE bob LOGIN IN ROLE beta;
	SELECT reyearn_create_tenant('acme', 'acme'), reyearn_create_tenant('beta', 'beta');
	SELECT reyearn_grant('mallory', 'admin'), reyearn_grant('ann', 'annotator'), reyearn_grant('bob', 'admin');
	CREATE SCHEMA hostile AUTHORIZATION mallory;
	GRANT USAGE ON SCHEMA hostile TO PUBLIC});

# Both have the same label, text and model; beta has some besides that nobody else should hear of. All its secrets have
# "hidden" in them, and all that acme has of its own "open".
for ([ 'mallory', 'open' ], [ 'bob', 'hidden' ])
{
	my ($role, $word) = @$_;
	is(error_of($node, 'mail', qq{
		SELECT reyearn_create_class('topic.food'), reyearn_create_class('topic.sport'), reyearn_create_class('$word.one', '$word what'), reyearn_create_class('$word.two');
		SELECT reyearn_annotate_text('the same text ' || i, CASE i % 2 WHEN 0 THEN 'topic.food' ELSE 'topic.sport' END) FROM generate_series(1, 10) AS i;
		SELECT reyearn_annotate_text('$word text ' || i, CASE i % 2 WHEN 0 THEN '$word.one' ELSE '$word.two' END) FROM generate_series(1, 20) AS i;
		SELECT reyearn_observe('$word text 1', '{"$word": "$word"}');
		SELECT reyearn_create_model('m', 'topic', promotion => 'always', retrain_after => 0), reyearn_create_model('$word', '$word', promotion => 'always', retrain_after => 0);
		SELECT reyearn_train('m'), reyearn_train('$word');
		SELECT reyearn_annotate_text('$word gone', '$word.two'), reyearn_create_class('$word.three'), reyearn_move_class('$word.three', '$word.two', true);
		SELECT reyearn_classify('$word what is it', '$word')}, $role), '', "$role stores the same text, label and model as the other");
}
my ($mallory, $ann, $bob) = map { session($node, 'mail', $_) } qw(mallory ann bob);

# Errors about what another tenant has are those about what nobody has.
my %id = map { ($_ => query("SELECT min(${_}_id) FROM reyearn." . ($_ eq 'class' ? 'classes' : "${_}s") . ' WHERE tenant_id = 2')) } qw(observation class annotation model);
my %own = map { ($_ => query("SELECT min(${_}_id) FROM reyearn." . ($_ eq 'class' ? 'classes' : "${_}s") . ' WHERE tenant_id = 1')) } qw(observation class annotation model);
for (
	[ observation => "INSERT INTO reyearn.annotations (observation_id, class_id) VALUES (%s, $own{class})" ],
	[ class => "INSERT INTO reyearn.annotations (observation_id, class_id) VALUES ($own{observation}, %s)" ],
	[ class => "INSERT INTO reyearn.annotations (observation_id, class_id) VALUES ($own{observation}, %s) ON CONFLICT DO NOTHING" ],
	[ class => "UPDATE reyearn.annotations SET class_id = %s WHERE annotation_id = $own{annotation}" ],
	[ class => "INSERT INTO reyearn.models (name, task, algorithm, label_root_id) VALUES ('new', 'classification', 'auto', %s)" ],
	[ class => "UPDATE reyearn.models SET label_root_id = %s WHERE name = 'm'" ],
	[ class => 'INSERT INTO reyearn.merged_classes (class_id, into_class_id) VALUES (1000000, %s)' ],
	[ model => 'INSERT INTO reyearn.model_shares (model_id, to_tenant_id) VALUES (%s, 0)' ],
	[ observation => q{SELECT reyearn_annotate(%s, 'open.one')} ],
	[ observation => q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT reyearn_annotate(%s, 'open.one')} ],
	[ observation => 'SELECT reyearn_forget(%s)' ],
	[ annotation => 'SELECT reyearn_confirm(%s)' ],
	[ annotation => 'SELECT reyearn_reject(ARRAY[%s])' ],
	[ annotation => q{SELECT reyearn_correct(%s, 'open.one')} ],
	[ model => q{SELECT reyearn.store_image(%s, reyearn_export_model('m'), ARRAY[1, 2], false)} ],
	[ model => 'SELECT reyearn.make_live(%s, 1, false)' ],
	[ model => 'SELECT reyearn.unknown_version(%s, 1)' ],
	[ model => 'SELECT reyearn.no_live_version(%s)' ])
{
	my ($what, $sql) = @$_;
	my ($theirs, $none) = map { error_in($mallory, sprintf $sql, $_) . error_in($mallory, 'ROLLBACK') } $id{$what}, 987654321;
	s/\b(?:$id{$what}|987654321)\b/N/g for $theirs, $none;
	is($theirs, $none, "the number of another's $what is as unknown as any: $sql");
	isnt($theirs, '', '... which is an error');
}
ok(!$id{$_} || $id{$_} != $own{$_}, "numbers of ${_}s are different ones") for keys %id;
for ('observations:body', 'annotations:observation_id,class_id', 'classes:label', 'models:name,task,algorithm', 'model_shares:model_id,to_tenant_id')
{
	my ($table, $columns) = split /:/;
	my $values = { observations => q{'hidden text 1'}, annotations => "$id{observation}, $id{class}", classes => q{'hidden.one'}, models => q{'hidden', 'classification', 'auto'}, model_shares => "$id{model}, 0" }->{$table};
	for my $conflict ('', ' ON CONFLICT DO NOTHING', ' RETURNING *')
	{
		my ($theirs, $none) = map { error_in($mallory, "INSERT INTO reyearn.$table (tenant_id, $columns) VALUES ($_, $values)$conflict") } 2, 987654321;
		is($theirs, qq{42501: new row violates row-level security policy for table "$table"}, "$table: no row for another tenant$conflict");
		is($none, $theirs, '... nor for one that there is not');
	}
}
for (q{SELECT reyearn_predict('x', '%s')}, q{SELECT reyearn_predict('x', 'beta/%s')}, q{SELECT reyearn.model_id('beta/%s')}, q{SELECT reyearn_train('beta/%s')}, q{SELECT reyearn_evaluate('%s')},
	q{SELECT reyearn_annotate(1, '%s.one')}, q{SELECT reyearn_create_model('new', '%s')}, q{SELECT reyearn_move_class('%s.one', 'open.one')}, q{SELECT reyearn_drop_class('%s')}, q{SELECT reyearn_share_model('%s', 'beta')},
	q{SELECT reyearn_alter_model('%s', keep_versions => 1)}, q{SET reyearn.default_model = 'beta/%s'; SELECT reyearn_predict('x')})
{
	my $sql = $_;
	my ($theirs, $none) = map { error_in($mallory, sprintf $sql, $_) . error_in($mallory, 'RESET reyearn.default_model') } 'hidden', 'none';
	is($theirs =~ s/hidden/none/gr, $none, "so is the name of another's: $sql");
	isnt($theirs, '', '... which is an error');
}
is(ask($mallory, q{SELECT reyearn.find_observation('hidden text 1') IS NULL, reyearn.find_observation('open text 1') IS NULL, reyearn.find_class('hidden.one') IS NULL}), 't|f|t', 'a text or class of another is not found');
is(ask($mallory, "UPDATE reyearn.observations SET metadata = '{}' WHERE observation_id = $id{observation} RETURNING *; UPDATE reyearn.annotations SET status = 'unknown' WHERE annotation_id = $id{annotation} RETURNING *;
	SELECT reyearn.delete_classes(ARRAY[$id{class}]), reyearn.delete_model($id{model}), reyearn.delete_observation($id{observation})"), '||', 'what names rows of another changes nothing and returns nothing');
is(ask($bob, 'SELECT count(*) FROM reyearn.model_versions WHERE is_live'), '2', '... and those of beta are live');
is(ask($mallory, q{WITH new AS (INSERT INTO reyearn.observations (body) VALUES ('hidden text 1') ON CONFLICT (tenant_id, content_hash) DO UPDATE SET metadata = excluded.metadata RETURNING *) SELECT tenant_id, metadata FROM new}), '1|{}',
	'ON CONFLICT does not find the text of another');
is(ask($mallory, q{MERGE INTO reyearn.observations AS o USING (SELECT 'hidden text 2' AS body) AS s ON o.body = s.body WHEN MATCHED THEN UPDATE SET metadata = '{"found": true}' WHEN NOT MATCHED THEN DO NOTHING; SELECT count(*) FROM reyearn.observations WHERE metadata ? 'found'}), '0', '... nor does MERGE');
query(q{DELETE FROM reyearn.observations WHERE tenant_id = 1 AND body LIKE 'hidden%'});
my $places = q{(SELECT array_agg(format('(%s,%s)', page, line)::tid) FROM generate_series(0, 20) AS page, generate_series(1, 100) AS line)};
is(ask($mallory, "SELECT count(*), count(*) FILTER (WHERE tenant_id <> 1) FROM reyearn.observations WHERE ctid = ANY (CAST($places AS tid[]))"), query('SELECT count(*) FROM reyearn.observations WHERE tenant_id = 1') . '|0', 'rows by their place: own ones');

# Statistics and sequences.
query(q{CREATE STATISTICS reyearn.both ON status, class_id FROM reyearn.annotations; ANALYZE});
my $statistics = q{SELECT count(*) FROM pg_stats WHERE schemaname = 'reyearn'};
cmp_ok(query($statistics), '>', 50, 'there are statistics of our tables');
is(ask($mallory, $statistics), '0', '... which a tenant does not see');
is(query(q{SELECT count(*) FROM pg_stats_ext WHERE statistics_schemaname = 'reyearn'}), '1', '... nor the extended ones');
is(ask($mallory, q{SELECT count(*) FROM pg_stats_ext WHERE statistics_schemaname = 'reyearn'}), '0', '... nor through pg_stats_ext');
like(error_in($mallory, "SELECT * FROM $_"), qr/^42501: permission denied for table $_/, "... nor $_") for qw(pg_statistic pg_statistic_ext_data);
my @sequences = split /\n/, query(q{SELECT oid::regclass FROM pg_class WHERE relnamespace = 'reyearn'::regnamespace AND relkind = 'S' ORDER BY 1});
cmp_ok(scalar @sequences, '>', 8, 'there are sequences');
cmp_ok(query(q{SELECT count(last_value) FROM pg_sequences WHERE schemaname = 'reyearn'}), '>', 5, '... that have been used');
is(ask($mallory, q{SELECT count(last_value) FROM pg_sequences WHERE schemaname = 'reyearn'}), '0', '... how far, a tenant is not told');
for my $sequence (@sequences)
{
	my @errors = map { error_in($mallory, $_) } "SELECT * FROM $sequence", map { "SELECT $_" } "nextval('$sequence')", "currval('$sequence')", "setval('$sequence', 1)", "pg_sequence_last_value('$sequence')";
	is_deeply([ map { s/^42501: permission denied for sequence \w+$//r } @errors ], [ ('') x 5 ], "$sequence: not read or set");
}

# Code of a tenant's own sees no row of another, however cheap it says it is and wherever it stands.
ask($mallory, $_) for q{SET search_path = hostile, public}, q{
	CREATE FUNCTION hostile.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END$$;
	CREATE FUNCTION hostile.leak(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS $$BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END$$;
	CREATE OPERATOR hostile.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.leak, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
	CREATE OPERATOR hostile.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.leak, RESTRICT = eqsel, JOIN = eqjoinsel);
	CREATE TYPE hostile.leaked AS (text text);
	CREATE FUNCTION hostile.to_leaked(text) RETURNS hostile.leaked LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS $$BEGIN RAISE NOTICE 'seen: %', $1; RETURN row($1); END$$;
	CREATE CAST (text AS hostile.leaked) WITH FUNCTION hostile.to_leaked(text);
	CREATE AGGREGATE hostile.gather(text) (SFUNC = textcat, STYPE = text);
	CREATE VIEW hostile.plain AS SELECT body, metadata FROM reyearn.observations WHERE hostile.leak(body);
	CREATE VIEW hostile.barrier WITH (security_barrier) AS SELECT body, metadata FROM reyearn.observations;
	CREATE VIEW hostile.invoker WITH (security_invoker) AS SELECT body, metadata FROM reyearn.observations;
	CREATE FUNCTION hostile.rows() RETURNS SETOF reyearn.observations LANGUAGE sql STABLE AS 'SELECT * FROM reyearn.observations';
	CREATE FUNCTION hostile.definer() RETURNS SETOF reyearn.observations LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT * FROM reyearn.observations WHERE hostile.leak(body)';
	GRANT SELECT ON ALL TABLES IN SCHEMA hostile TO PUBLIC; GRANT USAGE ON TYPE hostile.leaked TO PUBLIC};

# What a statement gave, with its notices and errors.
sub told
{
	my ($session, $sql) = @_;
	$session->{stderr} = '';
	my ($output) = $session->query($sql);
	return $output . $session->{stderr};
}
my @leaky = (
	'SELECT count(*) FROM reyearn.observations WHERE leak(body)',
	'SELECT count(*) FROM reyearn.observations WHERE NOT leak(body) OR leak(metadata::text)',
	q{SELECT count(*) FROM reyearn.observations WHERE body <<< 'm'},
	q{SELECT count(*) FROM reyearn.observations WHERE body === 'open text 1'},
	'SELECT count(*) FROM reyearn.observations WHERE body::leaked IS NOT NULL',
	q{SELECT count(*) FROM reyearn.observations WHERE CASE WHEN leak(body) THEN 1 / 0 = 1 END},
	'SELECT count(*) FROM reyearn.observations AS a JOIN reyearn.observations AS b ON a.body <<< b.body WHERE leak(a.body)',
	'SELECT count(*) FROM reyearn.observations AS a JOIN reyearn.observations AS b ON a.body === b.body',
	'SELECT count(*) FROM reyearn.annotations AS a JOIN reyearn.observations AS o USING (tenant_id, observation_id) JOIN reyearn.classes AS c USING (tenant_id, class_id) WHERE leak(o.body) AND leak(c.label::text)',
	'SELECT count(*) FROM reyearn.classes WHERE leak(label::text) AND leak(description)',
	'SELECT count(*) FROM reyearn.models WHERE leak(name)',
	'SELECT count(*) FROM reyearn.tenants WHERE leak(name)',
	'SELECT count(*) FROM reyearn.run_labels WHERE leak(label::text) OR leak(confusion::text)',
	'SELECT count(*) FROM reyearn.annotation_overview WHERE leak(text) AND leak(label::text)',
	'SELECT count(*) FROM reyearn.inbox WHERE leak(body)',
	'SELECT count(*) FROM reyearn.class_overview WHERE leak(label::text)',
	'SELECT count(*) FROM reyearn.model_overview WHERE leak(name)',
	'SELECT count(*) FROM reyearn.training_schedule WHERE leak(name)',
	'SELECT count(*) FROM reyearn.stat_models WHERE leak(model)',
	'SELECT count(*) FROM reyearn.model_classes WHERE leak(label::text)',
	'SELECT count(*) FROM plain', 'SELECT count(*) FROM barrier WHERE leak(body)', 'SELECT count(*) FROM invoker WHERE leak(body)', 'SELECT count(*) FROM hostile.rows() WHERE leak(body)', 'SELECT count(*) FROM definer()',
	'SELECT gather(body) FROM reyearn.observations', 'SELECT array_agg(o::text) FROM reyearn.observations AS o WHERE leak(o::text)',
	q{UPDATE reyearn.observations SET metadata = '{}' WHERE leak(body)}, q{UPDATE reyearn.annotations AS a SET status = 'unknown' FROM reyearn.observations AS o WHERE leak(o.body) AND o.observation_id = a.observation_id},
	q{SELECT count(*) FROM (SELECT body FROM reyearn.observations FOR UPDATE) AS o WHERE leak(body)},
	'COPY (SELECT body FROM reyearn.observations WHERE leak(body)) TO STDOUT');
# Control: the traps do tell what they see, to who may see it.
like(told($bob, "SET search_path = hostile, public; $_"), qr/seen: hidden text/, "bob's rows are there to be seen: $_") for @leaky[ 0, 2, 4, 21 ];
my @settings = ('', 'SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off', 'SET enable_seqscan = off; SET enable_hashjoin = off', 'SET enable_nestloop = off; SET enable_hashjoin = off', 'SET force_parallel_mode = on; SET parallel_setup_cost = 0');
for my $settings (@settings)
{
	ask($mallory, "$settings;") if $settings;
	for my $sql (@leaky)
	{
		my $plain = told($mallory, "BEGIN; $sql; ROLLBACK");
		my $explained = $sql =~ /^COPY/ ? '' : told($mallory, "BEGIN; EXPLAIN (ANALYZE, COSTS off, TIMING off) $sql; ROLLBACK");
		unlike($plain . $explained, qr/hidden|beta/, "$sql" . ($settings && " after $settings"));
		like($plain, qr/open|acme/, '... is told of its own') if $settings eq '' && $sql !~ /stat_models|1 \/ 0|CASE/;
	}
	ask($mallory, 'RESET ALL; SET search_path = hostile, public');
}
# Views and functions of mallory's own, used by beta: mallory's rows are not beta's, and the other way round.
like(told($bob, 'SELECT count(*) FROM hostile.plain'), qr/hidden text/, 'who uses a view of mallory gets his own rows, told to himself');
unlike(told($mallory, 'SELECT body FROM hostile.definer()'), qr/hidden/, '... and mallory hers');
is(ask($bob, 'SELECT count(*) FROM hostile.definer() WHERE tenant_id = 2'), '0', 'a SECURITY DEFINER function of mallory shows beta nothing of beta');

# Nothing can be attached to our tables, and our triggers to no others.
for ('CREATE TRIGGER t BEFORE INSERT ON reyearn.observations FOR EACH ROW EXECUTE FUNCTION hostile.spy()', 'CREATE TRIGGER t INSTEAD OF INSERT ON reyearn.inbox FOR EACH ROW EXECUTE FUNCTION hostile.spy()',
	'CREATE RULE r AS ON INSERT TO reyearn.observations DO ALSO SELECT 1', 'CREATE RULE r AS ON SELECT TO reyearn.inbox DO INSTEAD SELECT 1', 'CREATE TABLE hostile.child (class_id bigint, tenant_id int, FOREIGN KEY (tenant_id, class_id) REFERENCES reyearn.classes)',
	'CREATE TABLE hostile.heir () INHERITS (reyearn.observations)', 'CREATE INDEX ON reyearn.observations (hostile.leak(body))', 'CREATE POLICY p ON reyearn.observations USING (true)',
	'ALTER TABLE reyearn.observations DISABLE ROW LEVEL SECURITY', 'ALTER TABLE reyearn.observations NO FORCE ROW LEVEL SECURITY', 'ALTER TABLE reyearn.annotations DISABLE TRIGGER ALL', 'ALTER TABLE reyearn.classes ADD CHECK (hostile.leak(label::text))',
	'CREATE STATISTICS hostile.s ON body, metadata FROM reyearn.observations', 'CREATE FUNCTION reyearn.trap() RETURNS int LANGUAGE sql AS $$SELECT 1$$', 'CREATE VIEW reyearn.trap AS SELECT 1',
	'CREATE OR REPLACE FUNCTION reyearn.acting_role() RETURNS name LANGUAGE sql AS $$SELECT current_user$$', 'DROP FUNCTION reyearn.acting_role()', 'CREATE PUBLICATION p FOR TABLE reyearn.observations', 'ANALYZE reyearn.observations; SELECT 1 / 0',
	'REINDEX TABLE reyearn.observations', 'SET session_replication_role = replica', 'SET SESSION AUTHORIZATION bob', 'SET ROLE bob', 'SET ROLE beta', q{COPY (SELECT 1) TO '/tmp/x'}, q{SET reyearn.notify = off})
{
	like(error_in($mallory, 'CREATE OR REPLACE FUNCTION hostile.spy() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$') || error_in($mallory, $_), $_ =~ /^ANALYZE/ ? qr/^22012/ : qr/^42501: /, "refused: $_");
}
ask($mallory, 'CREATE TABLE hostile.own (LIKE reyearn.annotations); CREATE TABLE hostile.attached (id int PRIMARY KEY, body text, label text)');
my @triggers = split /\n/, query(q{SELECT p.oid::regproc FROM pg_proc AS p WHERE p.pronamespace = 'reyearn'::regnamespace AND p.prorettype = 'trigger'::regtype ORDER BY 1});
cmp_ok(scalar @triggers, '>', 8, 'there are functions of triggers');
like(error_in($mallory, "CREATE TRIGGER t AFTER INSERT ON hostile.own FOR EACH ROW EXECUTE FUNCTION $_()"), qr/^42501: permission denied for function/, "$_: not for tables of others") for grep { !/(?:label|learn)_row$/ } @triggers;
# But for those of attached tables, which serve no table but the one that was attached.
for ('label', 'learn')
{
	my $when = $_ eq 'label' ? 'BEFORE' : 'AFTER';
	is(error_in($mallory, "CREATE TRIGGER t_$_ $when INSERT OR UPDATE OF body, label ON hostile.attached FOR EACH ROW EXECUTE FUNCTION reyearn.${_}_row(1)"), '', "reyearn.${_}_row: on a table of one's own");
}
like(told($mallory, 'INSERT INTO hostile.attached VALUES (1, $$hidden text$$) RETURNING label IS NULL'), qr/^t.*WARNING:  42704: could not label rows of table "attached": attachment 1 of the table does not exist/s,
	'... without an attachment of it they do nothing');

# Row security cannot be left out, nor triggers by pretending to restore a dump.
for my $table (qw(observations annotations classes models tenants annotation_history model_images))
{
	like(error_in($mallory, "BEGIN; SET LOCAL row_security = off; SELECT FROM reyearn.$table") . error_in($mallory, 'ROLLBACK'), qr/^42501: query would be affected by row-level security policy for table "$table"/, "row_security = off: an error, not the rows of $table");
}
my $restoring = 'SET check_function_bodies = off; SET row_security = off';
ask($mallory, $restoring);
like(error_in($mallory, $_), qr/^42501: query would be affected by row-level security/, "as if restoring: $_")
  for 'INSERT INTO reyearn.observations (body) VALUES (\'open text\')', "INSERT INTO reyearn.annotations (observation_id, class_id) VALUES ($own{observation}, $own{class})", q{UPDATE reyearn.annotations SET status = 'rejected'},
  q{SELECT reyearn_annotate_text('open text', 'open.one')}, q{UPDATE reyearn.models SET owner = 'beta'}, q{SELECT reyearn_create_model('new')}, q{INSERT INTO reyearn.inbox (body, label) VALUES ('open text', 'open.one')};
ask($mallory, 'RESET row_security');
# The settings may change while a statement runs, after its plan has been made.
my $off = q{set_config('row_security', 'off', false) = 'off'};
my $history = 'SELECT count(*) FROM reyearn.annotation_history';
query("SELECT reyearn_alter_tenant('acme', max_models => (SELECT count(*)::int FROM reyearn.models WHERE tenant_id = 1))");
for (
	[ "INSERT INTO reyearn.annotations (observation_id, class_id) SELECT $own{observation}, class_id FROM reyearn.classes WHERE label::text = 'open.one' AND $off", $history, 'an annotation has its history' ],
	[ "UPDATE reyearn.annotations SET status = 'rejected' WHERE annotation_id = $own{annotation} AND $off", $history, 'a change of one too' ],
	[ "INSERT INTO reyearn.annotations (observation_id, class_id) SELECT $own{observation}, class_id FROM reyearn.classes WHERE label::text = 'open.two' RETURNING $off", $history, '... and one whose RETURNING changes them' ])
{
	my ($sql, $count, $what) = @$_;
	my $before = query($count);
	error_in($mallory, $sql);
	ask($mallory, 'RESET row_security');
	cmp_ok(query($count), '>', $before, "$what, also where row_security is switched off by the statement itself");
}
like(error_in($mallory, "UPDATE reyearn.models SET owner = 'beta' WHERE name = 'open' AND $off"), qr/^42501: must be member of role beta/, 'a model is not given to others so');
ask($mallory, 'RESET row_security');
like(error_in($mallory, "INSERT INTO reyearn.models (name, task, algorithm) SELECT 'beyond', 'classification', 'auto' WHERE $off"), qr/^53400: /, '... nor one made beyond the limit');
ask($mallory, 'RESET row_security');
ask($mallory, q{SELECT reyearn_annotate_text('open change', 'open.one')});
my $changes = query($history);
error_in($mallory, q{INSERT INTO reyearn.merged_classes (class_id, into_class_id) SELECT a.class_id, b.class_id FROM reyearn.classes AS a, reyearn.classes AS b WHERE a.label::text = 'open.one' AND b.label::text = 'open.two'});
error_in($mallory, q{UPDATE reyearn.annotations SET class_id = (SELECT class_id FROM reyearn.classes WHERE label::text = 'open.two') WHERE observation_id = reyearn_observe('open change')});
is(query($history), $changes + 2, 'a change of class has its history, whatever mallory says of merged classes');
query(q{DELETE FROM reyearn.merged_classes WHERE tenant_id = 1});
query(q{DELETE FROM reyearn.models WHERE name = 'beyond'; UPDATE reyearn.models SET owner = 'mallory' WHERE tenant_id = 1; SELECT reyearn_alter_tenant('acme', max_models => -1)});
ask($mallory, 'RESET ALL');

# COPY, as PostgreSQL has it for tables under row security.
is(scalar(() = ask($ann, 'COPY reyearn.observations (body) TO STDOUT') =~ /^hidden/mg), 0, 'COPY TO: no rows of others');
like(ask($ann, 'COPY reyearn.observations (body) TO STDOUT'), qr/^open text 1$/m, '... but own ones');
like(error_of($node, 'mail', 'COPY reyearn.observations (body) FROM STDIN', 'ann'), qr/^0A000: COPY FROM not supported with row-level security/, 'COPY FROM: not into tables');
is(as($node, 'mail', 'ann', "COPY reyearn.inbox (body, label) FROM STDIN;\nopen to all\topen.one\n\\.\nSELECT count(*) FROM reyearn.annotation_overview WHERE text = 'open to all'"), '1', '... but into the inbox, by an annotator');
is(query(q{SELECT tenant_id, count(*) FROM reyearn.observations WHERE body = 'open to all' GROUP BY 1}), '1|1', '... for the own tenant');

# Locks on rows.
ask($mallory, 'BEGIN');
ask($mallory, "SELECT count(*) FROM (SELECT * FROM reyearn.$_ FOR UPDATE) AS locked") for qw(observations annotations classes models);
my @work = ("SELECT reyearn_annotate_text('hidden text 1', 'hidden.two')", "SELECT reyearn_annotate($id{observation}, 'hidden.one', 'rejected')", "SELECT reyearn_create_class('hidden.more')", q{SELECT reyearn_move_class('hidden.more', 'hidden.most')},
	q{SELECT reyearn_alter_model('hidden', keep_versions => 4)}, q{SELECT outcome FROM reyearn_train('hidden', '{"alpha": 0.5}')}, q{SELECT reyearn_create_model('hidden too', 'hidden', retrain_after => 0), reyearn_forget(reyearn_observe('hidden now'))});
ask($bob, q{SET lock_timeout = '3s'});
is(error_in($bob, $_), '', "while mallory has locked all rows that she sees: $_") for @work;
like(error_in($ann, $_), qr/^42501: permission denied for table/, "not locked by who may not write it: $_") for map { "SELECT FROM reyearn.$_ FOR KEY SHARE" } qw(tenants news runs model_versions annotation_history);
ask($mallory, 'ROLLBACK');
for my $table (qw(tenants classes observations annotations annotation_history models model_versions model_images news runs merged_classes model_shares))
{
	my $lock = "BEGIN; LOCK TABLE reyearn.$table IN ACCESS EXCLUSIVE MODE NOWAIT";
	like(error_in($ann, $lock) . error_in($ann, 'ROLLBACK'), qr/^42501: permission denied for table $table/, "an annotator does not lock the table $table");
	like(error_in($mallory, $lock) . error_in($mallory, 'ROLLBACK'), qr/^42501: permission denied for table $table/, '... nor does an admin');
}

# What others do.
my $sleeper = begin_query($node, 'mail', q{SELECT 'hidden in a query', reyearn_predict('hidden too', 'hidden'), pg_sleep(3600)}, 'bob');
wait_for($node, 'mail', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%hidden in a query%' AND usename = 'bob'});
unlike(ask($mallory, 'SELECT a FROM pg_stat_activity AS a') . ask($mallory, 'SELECT l FROM pg_locks AS l') . ask($mallory, 'SELECT * FROM pg_prepared_statements') . ask($mallory, 'SELECT * FROM pg_cursors'), qr/hidden/, 'queries of others are not shown, nor texts with locks');
like(ask($mallory, q{SELECT DISTINCT query FROM pg_stat_activity WHERE usename = 'bob'}), qr/^<insufficient privilege>$/, '... but that they are there');
unlike(ask($mallory, 'SELECT s FROM reyearn_status() AS s') . ask($mallory, 'SELECT * FROM reyearn.stat_models') . ask($mallory, 'SELECT * FROM reyearn.shared_images() AS s') . ask($mallory, 'SELECT * FROM reyearn.progress'), qr/hidden|\b2\|\d+\|live/, 'nor what is in shared memory');
is(ask($mallory, 'SELECT count(*) > 0, bool_and(tenant_id = 1) FROM reyearn.shared_images()'), 't|t', '... but of the own tenant');
for my $who ("usename = 'bob'", "backend_type = 'reyearn launcher'")
{
	my $pid = query("SELECT min(pid) FROM pg_stat_activity WHERE $who");
	like(error_in($mallory, "SELECT $_($pid)"), qr/^42501: must be /, "$_: not $who") for qw(pg_cancel_backend pg_terminate_backend);
}
query(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%hidden in a query%' AND usename = 'bob'});
end_query($sleeper);

# Notices are numbers. Trainings of others go on whatever mallory locks, holds and queues.
ask($mallory, 'LISTEN reyearn_annotation; LISTEN reyearn_model; LISTEN mark');
ask($mallory, q{SELECT pg_advisory_lock('reyearn.tenants'::regclass::int, i), pg_advisory_lock(('reyearn.tenants'::regclass::bigint << 32) | i), pg_advisory_lock(0, i), pg_advisory_lock(i) FROM generate_series(0, 40) AS i});
my $holder = session($node, 'mail', 'mallory');
ask($holder, q{BEGIN; SELECT reyearn_train('m', '{"alpha": 0.5}'); SELECT reyearn_create_class('open.more'); SELECT reyearn_move_class('open.more', 'open.most'); SELECT reyearn_share_model('m', 'beta')});
ask($mallory, q{SELECT count(reyearn_train('m', jsonb_build_object('alpha', 0.01 * i), wait => false)) FROM generate_series(1, 20) AS i});
is(error_in($bob, q{SELECT reyearn_train('m', '{"alpha": 0.25}')}), '', 'by hand');
my $run = ask($bob, q{SELECT run_id FROM reyearn_train('hidden', '{"alpha": 0.25}', wait => false)});
becomes($node, 'mail', "SELECT outcome FROM reyearn.runs WHERE run_id = $run", 'promoted', '... in the background, when asked');
ask($bob, q{SELECT reyearn_alter_model('hidden', retrain_after => 1, retrain_delay => '0')});
ask($bob, q{SELECT reyearn_annotate_text('hidden news', 'hidden.one')});
becomes($node, 'mail', q{SELECT count(*) FROM reyearn.news WHERE tenant_id = 2 AND model_id = (SELECT model_id FROM reyearn.models WHERE name = 'hidden')}, '0', '... and when due');
ask($holder, 'ROLLBACK');
$holder->quit;
my $heard = ask($mallory, 'SELECT pg_advisory_unlock_all()');
query('NOTIFY mark');
for (1 .. 50)
{
	$heard .= ask($mallory, 'SELECT 1');
	last if $heard =~ /"mark"/;
	sleep 0.1;
}
my @payloads = $heard =~ /^Asynchronous notification "reyearn_\w+"(?: with payload "(.*)")? received from/mg;
cmp_ok(scalar @payloads, '>', 3, 'mallory has heard of trainings and annotations');
is_deeply([ grep { !/^\d+$/ } @payloads ], [], '... numbers, and nothing else');
ask($mallory, 'UNLISTEN *');
query(q{DELETE FROM reyearn.runs WHERE outcome = 'queued'});
becomes($node, 'mail', q{SELECT count(*) FROM reyearn.runs WHERE outcome IN ('queued', 'running')}, '0', 'all is trained');
error_in($mallory, q{INSERT INTO reyearn.news (model_id, n) SELECT model_id, 9223372036854775807 FROM reyearn.models, generate_series(1, 2) WHERE name = 'm'});
is(error_of($node, 'mail', 'SELECT count(due_at) FROM reyearn.training_schedule'), '', 'news of mallory do not stop the search for trainings');
query(q{DELETE FROM reyearn.news WHERE tenant_id = 1});

# Hostile objects first on the search_path: each notes who ran it. They are never run by our functions, neither as their
# caller nor as anybody else, nor by trainings.
ask($mallory, q{
	CREATE TABLE hostile.ran (who name, what text);
	GRANT INSERT ON hostile.ran TO PUBLIC;
	CREATE FUNCTION hostile.note(what text) RETURNS void LANGUAGE plpgsql AS $$BEGIN INSERT INTO hostile.ran VALUES (current_user::pg_catalog.name, $1); END$$});
my %traps = (
	'format(text, text)' => 'text', 'format(text, name)' => 'text', 'current_setting(text)' => 'text', 'now()' => 'timestamptz', 'clock_timestamp()' => 'timestamptz', 'quote_ident(text)' => 'text', 'quote_ident(name)' => 'text',
	'count(bigint)' => 'bigint', 'char_length(text)' => 'int', 'nlevel(ltree)' => 'int', 'subpath(ltree, int)' => 'ltree', 'subpath(ltree, int, int)' => 'ltree', 'strpos(text, text)' => 'int', 'set_config(text, text, boolean)' => 'text',
	'jsonb_typeof(jsonb)' => 'text', 'jsonb_strip_nulls(jsonb)' => 'jsonb', 'pg_get_userbyid(regrole)' => 'name', 'pg_has_role(name, regrole, text)' => 'boolean', 'array_position(bigint[], bigint)' => 'int', 'lower(int4range)' => 'int',
	'reyearn_observe(text)' => 'bigint', 'reyearn_observe(text, jsonb)' => 'bigint', 'reyearn_annotate(bigint, text, text, int4range)' => 'bigint', 'reyearn_annotate(bigint, ltree, text, int4range)' => 'bigint', 'reyearn_create_class(text)' => 'void',
	'reyearn_create_class(ltree, text)' => 'void', 'reyearn_create_model(text, text)' => 'bigint', 'parse_label(text)' => 'ltree', 'find_class(ltree)' => 'bigint', 'current_tenant()' => 'int', 'usable_tenants()' => 'int[]', 'restoring()' => 'boolean');
# PERFORM and not a sub-select: it is run whatever the value.
ask($mallory, "CREATE FUNCTION hostile.$_ RETURNS $traps{$_} LANGUAGE plpgsql COST 0.0001 AS \$\$BEGIN PERFORM hostile.note('$_'); RETURN" . ($traps{$_} eq 'void' ? '' : ' NULL') . '; END$$') for sort keys %traps;
my %operators = ('=' => [ 'int, int', 'bigint, bigint', 'text, text', 'ltree, ltree', 'oid, regclass', 'name, text', 'oid, regrole' ], '<>' => [ 'int, int', 'bigint, bigint', 'text, text', 'regrole, regrole' ], '<@' => ['ltree, ltree'],
	'||' => [ 'text, text', 'jsonb, jsonb', 'ltree, ltree' ], '<=' => [ 'timestamptz, timestamptz', 'int, int' ], '>' => ['bigint, int'], '+' => [ 'bigint, bigint', 'timestamptz, interval' ], '~' => ['text, text']);
my $number = 0;
for my $operator (sort keys %operators)
{
	for my $types (@{ $operators{$operator} })
	{
		my ($left, $right) = split /, /, $types;
		my $result = $operator eq '||' ? $left : $operator eq '+' ? $left : 'boolean';
		my $function = 'operator' . $number++;
		ask($mallory, "CREATE FUNCTION hostile.$function($types) RETURNS $result LANGUAGE plpgsql AS \$\$BEGIN PERFORM hostile.note('$operator ($types)'); RETURN NULL; END\$\$;
			CREATE OPERATOR hostile.$operator (LEFTARG = $left, RIGHTARG = $right, FUNCTION = hostile.$function)");
	}
}
my @ours = split /\n/, query(q{SELECT relname FROM pg_class WHERE relnamespace = 'reyearn'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1});
my $shadow = join '; ', map { ("CREATE TEMPORARY TABLE $_ (trap int)") } @ours, qw(new_rows old_rows);
ask($mallory, join '; ', map { "CREATE TABLE hostile.$_ (trap int)" } @ours, qw(new_rows old_rows));
query('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA hostile TO PUBLIC; ALTER ROLE mallory SET search_path = hostile, public, pg_catalog');
sub has_run { return query(q{SELECT string_agg(DISTINCT who || ' ' || what, ', ') FROM hostile.ran}) }
# Control: where nothing protects from them they are run.
ask($mallory, $_) for 'SET search_path = hostile, public, pg_catalog', q{SELECT now(), format('%s', 'a'::text), 1 = 1, 'a'::text || 'b'::text};
is(has_run(), join(', ', sort map { "mallory $_" } 'now()', 'format(text, text)', '= (int, int)', '|| (text, text)'), 'the traps tell who runs them');
query('DELETE FROM hostile.ran');

ask($mallory, $shadow);
my @api = (
	q{public.reyearn_create_class('open.again', 'again')}, q{public.reyearn_create_class('open.once'::public.ltree)}, q{public.reyearn_observe('open trap', '{"a": 1}')}, q{public.reyearn_observe('open trap', '{"b": 1}')},
	q{public.reyearn_annotate_text('open trap', 'open.again')}, q{public.reyearn_annotate_text('open trap', 'open.one'::public.ltree)}, q{public.reyearn_classify('open trap again', 'open')}, q{public.reyearn_predict('open', 'open')},
	q{public.reyearn_predict_proba('open', 'open')}, q{public.reyearn_create_model('trap', 'open', promotion => 'always', retrain_delay => '0')}, q{public.reyearn_alter_model('trap', keep_versions => 3)}, q{public.reyearn_train('trap')}, q{public.reyearn_train('trap', '{"alpha": 0.5}')},
	q{public.reyearn_train('trap', '{"alpha": 0.75}', wait => false)}, q{public.reyearn_rollback('trap')}, q{public.reyearn_promote('trap', 1)}, q{public.reyearn_evaluate('trap')}, q{public.reyearn_confusion_matrix('trap')}, q{public.reyearn_import_model('trapped', public.reyearn_export_model('trap'))},
	q{public.reyearn_share_model('trap', 'beta')}, q{public.reyearn_unshare_model('trap', 'beta')}, q{public.reyearn_move_class('open.once', 'open.more.once')}, q{public.reyearn_move_class('open.more.once', 'open.again')}, q{public.reyearn_drop_class('open.more')},
	q{public.reyearn_status()}, q{public.reyearn_drop_model('trapped')});
is(error_in($mallory, "SELECT $_"), '', "amid traps: $_") for @api;
is(error_in($mallory, $_), '', "amid traps: $_") for q{INSERT INTO reyearn.inbox (body, label) VALUES ('open inbox', 'open.one')}, 'SELECT FROM reyearn.annotation_overview', 'SELECT FROM reyearn.model_overview', 'SELECT FROM reyearn.class_overview', 'SELECT FROM reyearn.training_schedule',
  'SELECT FROM reyearn.stat_models', q{INSERT INTO reyearn.annotations (observation_id, class_id) SELECT max(observation_id), max(class_id) FROM reyearn.observations, reyearn.classes}, q{UPDATE reyearn.annotations SET status = 'unknown' WHERE status OPERATOR(pg_catalog.=) 'predicted'};
like(error_in($mallory, "SELECT $_"), qr/^(?!42501|42P01)\w{5}: /, "an error amid traps: $_") for q{public.reyearn_annotate(1, 'open.nothing')}, q{public.reyearn_predict('x', 'nothing')}, q{public.reyearn_confirm(ARRAY[0]::pg_catalog.int8[])}, q{public.reyearn_promote('trap', 77)}, q{public.reyearn_create_model('a/b')};
is(has_run(), '', 'no trap was sprung by a function, view, trigger or training of ours');
my $trap = q{FROM reyearn.runs JOIN reyearn.models USING (tenant_id, model_id) WHERE name = 'trap'};
becomes($node, 'mail', "SELECT count(*) $trap AND outcome IN ('queued', 'running')", '0', 'what was queued has been trained');
my $last = query("SELECT max(run_id) $trap");
ask($mallory, q{SELECT public.reyearn_annotate_text('open and due', 'open.one')});
becomes($node, 'mail', "SELECT count(*) > 0, bool_and(started_by = 'mallory' AND NOT is_requested) $trap AND run_id > $last AND outcome = 'promoted'", 't|t', 'a model of mallory is trained in the background, as hers');
is(has_run(), '', '... and springs none either');
my $owner = session($node, 'mail');
ask($owner, "SET search_path = hostile, public, pg_catalog; $shadow");
is(error_in($owner, "SELECT $_"), '', "by the owner, amid traps: $_") for q{public.reyearn_grant('ann', 'trainer')}, q{public.reyearn_revoke('ann')}, q{public.reyearn_grant('ann', 'annotator')}, q{public.reyearn_alter_tenant('beta', max_models => 100)}, q{public.reyearn_drop_tenant('beta', dry_run => true)},
  q{public.reyearn_status()}, q{public.reyearn_annotate_text('the owner''s', 'free') FROM public.reyearn_create_class('free')}, q{reyearn.next_training()};
is(has_run(), '', '... and the owner springs none');
$owner->quit;
$_->quit for $mallory, $ann, $bob;
query('ALTER ROLE mallory RESET search_path');
ok(is_unharmed($node), 'no process crashed');

# With a million annotations, in four tenants of equal size: nothing reads whole tables, row security or not.
my $start = time;
create_database($node, 'large');
$node->safe_psql('large', q{
	SELECT reyearn_create_tenant('acme', 'acme'), reyearn_create_tenant('beta', 'beta');
	CREATE ROLE gamma; CREATE ROLE delta; CREATE ROLE alice LOGIN IN ROLE acme;
	SELECT reyearn_create_tenant('gamma', 'gamma'), reyearn_create_tenant('delta', 'delta'), reyearn_grant('alice', 'admin');
	BEGIN;
	SET LOCAL session_replication_role = replica;
	SET LOCAL synchronous_commit = off;
	SET LOCAL work_mem = '64MB';
	INSERT INTO reyearn.classes (tenant_id, label)
	SELECT tenant, path::ltree
	  FROM generate_series(1, 4) AS tenant,
	       (SELECT 'big' UNION ALL SELECT 'big.' || i FROM generate_series(1, 1000) AS i UNION ALL SELECT 'small' UNION ALL SELECT 'small.' || i FROM generate_series(1, 4) AS i) AS l (path);
	INSERT INTO reyearn.observations (tenant_id, body)
	SELECT tenant, 'text number ' || i FROM generate_series(1, 125000) AS i, generate_series(1, 4) AS tenant;
	CREATE TEMPORARY TABLE place ON COMMIT DROP AS SELECT tenant_id, class_id, split_part(label::text, '.', 1) AS type, split_part(label::text, '.', 2)::int AS i FROM reyearn.classes WHERE nlevel(label) = 2;
	ANALYZE reyearn.observations;
	ANALYZE place;
	INSERT INTO reyearn.annotations (tenant_id, observation_id, class_id, status)
	SELECT o.tenant_id, o.observation_id, p.class_id, (ARRAY['confirmed', 'confirmed', 'rejected', 'predicted'])[1 + (o.observation_id / 4 + n) % 4]
	  FROM reyearn.observations AS o, generate_series(0, 1) AS n, place AS p WHERE p.tenant_id = o.tenant_id AND p.type = 'big' AND p.i = 1 + (o.observation_id / 4 + n) % 1000
	UNION ALL
	SELECT o.tenant_id, o.observation_id, p.class_id, 'confirmed'
	  FROM reyearn.observations AS o, place AS p WHERE p.tenant_id = o.tenant_id AND p.type = 'small' AND p.i = 1 + o.observation_id / 4 % 4 AND o.observation_id <= 4000;
	COMMIT;
	VACUUM ANALYZE});
note(sprintf 'filled in %.1f s', time - $start);
is($node->safe_psql('large', 'SELECT count(*) > 1000000 FROM reyearn.annotations'), 't', 'a million annotations');
$node->safe_psql('large', q{
	ALTER ROLE alice SET session_preload_libraries = 'auto_explain';
	ALTER ROLE alice SET auto_explain.log_min_duration = 0;
	ALTER ROLE alice SET auto_explain.log_nested_statements = on;
	ALTER ROLE alice SET auto_explain.log_timing = off});
my $alice = session($node, 'large', 'alice');
ask($alice, q{SELECT reyearn_create_model('small', 'small', promotion => 'always', retrain_after => 0)});
my $least = $node->safe_psql('large', 'SELECT min(observation_id) FROM reyearn.observations WHERE tenant_id = 1');
my ($first, $class_id) = split /\|/, $node->safe_psql('large', q{SELECT min(annotation_id), min(class_id) FROM reyearn.annotations WHERE tenant_id = 1 AND status = 'predicted'});
my @plans;
sub plans_of
{
	my ($sql, $times) = @_;
	my $from = -s $node->logfile;
	for my $i (1 .. $times)
	{
		(my $one = $sql) =~ s/\$i\b/$i/g;
		ask($alice, $one);
	}
	my $log = slurp_file($node->logfile, $from);
	return grep { /Query Text:/ } split /^(?=\d{4}-\d\d-\d\d )/m, $log;
}
like(join('', plans_of('SELECT count(*) FROM reyearn.annotations WHERE probability = 2', 1)), qr/Scan (?:using \w+ )?on (?:reyearn\.)?annotations/, 'plans of a tenant are logged');
like(join('', plans_of('SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off; SELECT count(*) FROM reyearn.annotations; RESET enable_indexscan; RESET enable_bitmapscan; RESET enable_indexonlyscan', 1)),
	qr/Seq Scan on annotations/, '... those with a sequential scan too');
my @in_acme = map { "$least + 4 * (\$i + $_)" } 0, 2000, 3000;
for (
	[ 'reyearn_observe, a new text', q{SELECT reyearn_observe('new text ' || $i, '{"a": 1}')} ],
	[ 'reyearn_observe, a known text', q{SELECT reyearn_observe('text number ' || $i, '{"a": 1}')} ],
	[ 'reyearn_annotate, a new one', "SELECT reyearn_annotate($in_acme[1], 'small.1')" ],
	[ 'reyearn_annotate, a known one', "SELECT reyearn_annotate($in_acme[0], 'big.1', 'rejected')" ],
	[ 'reyearn_annotate, another class of the model', "SELECT reyearn_annotate($least + 4, format('small.%s', 1 + \$i % 4))" ],
	[ 'reyearn_annotate_text, a new text', q{SELECT reyearn_annotate_text('again a new text ' || $i, 'small.2')} ],
	[ 'reyearn_annotate_text, a known text', q{SELECT reyearn_annotate_text('text number ' || $i, 'small.2')} ],
	[ 'reyearn.inbox', q{INSERT INTO reyearn.inbox (body, label, status) VALUES ('in the box ' || $i, 'small.1', 'confirmed')} ],
	[ 'reyearn_confirm', "SELECT reyearn_confirm(annotation_id) FROM reyearn.annotations WHERE annotation_id = $first" ],
	[ 'reyearn_reject', "SELECT reyearn_reject($first)" ],
	[ 'reyearn_correct', "SELECT reyearn_correct($first, 'big.2')" ],
	[ 'reyearn_forget', "SELECT reyearn_forget($in_acme[2])" ],
	[ 'a label without a class', q{DO $$ BEGIN PERFORM reyearn_annotate(1, 'big.none'); EXCEPTION WHEN undefined_object THEN NULL; END $$} ],
	[ 'reyearn_create_class', q{SELECT reyearn_create_class('small.new.n' || $i)} ],
	[ 'reyearn_train, a small model', q{SELECT outcome FROM reyearn_train('small', '{"seed": $i}')} ],
	[ 'reyearn_classify, a new text', q{SELECT * FROM reyearn_classify('yet another text ' || $i, 'small')} ],
	[ 'reyearn_classify, a known text', q{SELECT * FROM reyearn_classify('text number ' || $i, 'small')} ],
	[ 'a class of the overview, by its number', "SELECT * FROM reyearn.class_overview WHERE class_id = $class_id" ],
	[ 'a class of the overview, by its label', q{SELECT * FROM reyearn.class_overview WHERE label = 'big.7'} ],
	[ 'an annotation of the overview', "SELECT * FROM reyearn.annotation_overview WHERE annotation_id = $first" ],
	[ 'a class by its label', q{SELECT * FROM reyearn.classes WHERE label = 'big.7'} ],
	[ 'the model overview', 'SELECT * FROM reyearn.model_overview' ])
{
	my ($what, $sql) = @$_;
	my $begin = time;
	my @mine = plans_of($sql, 7);
	note(sprintf '%s: %.1f ms', $what, 1000 * (time - $begin) / 7);
	cmp_ok(scalar @mine, '>', 0, "$what: plans are logged");
	is_deeply([ grep { /Seq Scan on (?:reyearn\.)?(?:annotations|observations|classes)\b/ } @mine ], [], "$what: no sequential scan");
}
$alice->quit;
ok(is_unharmed($node), 'no process crashed');

done_testing();
