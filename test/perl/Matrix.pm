# Every object of the extension in every situation that a role can be in towards tenants: how each object is called, what
# is to come of it, and the situations. run_matrix() returns what came otherwise.
#
# Three tenants hold the same kinds of things under names of their own: the word of a tenant is its name, and all that it
# has written has "<word>secret" or "<word>shared" in it. A call asks for what the tenant of one word has
# (matrix.asked()), while the role acts for the tenant of another or the same (matrix.own()); "nosuch" is the word of
# nobody. So one statement, to the letter, is made in all situations, and what comes of asking for what another tenant has
# must be what comes of asking for what nobody has.

package Matrix;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Reyearn;
use Test::More;
use Time::HiRes ();

our @EXPORT = qw(create_roles fill_database step objects_of run_matrix login_situations ask_as marks_of is_over_tenants %objects @situations);

my @words = qw(acme beta default);
my %member = (acme => 'alice', beta => 'bob', default => 'app');
my %shared_from = (acme => 'default', beta => 'acme', default => 'beta');    # who shares a model with whom
my %shared_with = reverse %shared_from;

# --- What comes of a call.
#
# Expected texts are answers as psql -At shows them, or errors: "SQLSTATE: message", with DETAIL and HINT on lines of
# their own. In them {w} is the word that is asked for, {o} the own one, {from} that of the tenant that shares a model
# with the own one, {KIND} and {o.KIND} numbers of things, {role} and {acting} who calls.

my $no_tenant = qq(42501: role "{role}" may use no tenant
DETAIL:  It inherits the role of no tenant, and reyearn_grant() has not opened the default tenant to it.
HINT:  Have the role of a tenant granted to it, or call reyearn_login() with a token.);
my $several_tenants = qq(42P08: role "{role}" may use several tenants, and none was chosen
DETAIL:  They are "acme", "beta".
HINT:  Choose one of them, such as SET reyearn.tenant = 'acme';);
my $bad_choice = qq(42704: tenant "{w}" does not exist
DETAIL:  It is what reyearn.tenant names.
HINT:  Set reyearn.tenant to a tenant that you may use, or reset it; SELECT name FROM reyearn.tenants; lists them.);
my $expired = qq(28000: login has expired
HINT:  Begin a new transaction, and call reyearn_login() with a new token.);
my $models_hint = 'HINT:  SELECT name FROM reyearn.model_overview; lists the models.';
my $no_model = qq(42704: model "{w}secret_model" does not exist\n$models_hint);
my $no_model_of = qq(42704: model "{w}/{w}secret_model" does not exist\n$models_hint);
my $no_share = qq(42704: model "{from}/{from}shared_model" does not exist\n$models_hint);
my $only_predicts = qq(42501: model "{from}/{from}shared_model" is shared for predictions only
DETAIL:  It belongs to another tenant.
HINT:  Use it with reyearn_predict(), reyearn_predict_proba() or reyearn_classify().);

sub no_class
{
	my ($label) = @_;
	return qq(42704: class "$label" does not exist
DETAIL:  There is no class above it either.
HINT:  reyearn.class_overview lists the classes; reyearn_create_class('$label') creates it.);
}

sub no_key
{
	my ($table, $column) = @_;
	return qq(23503: insert or update on table "$table" violates foreign key constraint "${table}_tenant_id_${column}_fkey"
DETAIL:  Key is not present in table "classes".);
}

# --- Calls. Each is one statement that answers one row of one column. What may be given:
#   own       what comes of asking for what is one's own
#   oracle    instead: a query that tells it, run by a superuser, with {tenants} for the numbers of the tenants
#   missing   what comes of asking for what nobody has, and so for what another tenant has
#   other     what comes of asking for what another tenant has, where that is not the same
#   none      of a role without a tenant; several: of one that has not chosen; choice: of one that chose another's, which
#             a login that has expired is like
# Without `missing` the call asks for nothing by name or number: it says the same whatever is asked for. Several
# possible answers are an array. `sees`: the tenant that shares a model with the own
# one (giver), or that the own one shares one with (taker), may be named in the answer.

sub call { my ($sql, %is) = @_; return { sql => $sql, %is } }

# One that is nothing to do with tenants.
sub constant
{
	my ($sql, $is) = @_;
	return call($sql, own => $is, none => $is, several => $is, choice => $is, is_constant => 1);
}

# One with a model: by name, as that of a tenant, and the one that another tenant shares.
sub of_model
{
	my ($sql, $own, %more) = @_;
	my @own = ref $own eq 'HASH' ? %$own : (own => $own);
	my $named = sub { return $sql =~ s/\{model\}/$_[0]/gr };
	return (
		call($named->(q{matrix.asked('secret_model')}), @own, missing => $no_model, %more),
		call(
			$named->(q{matrix.asked() || '/' || matrix.asked('secret_model')}),
			@own,
			missing => $no_model_of,
			none => [ $no_model_of, $no_tenant ],
			several => [ 'own', $several_tenants ],
			%more),
		call($named->(q{matrix.giver() || '/' || matrix.giver('shared_model')}), own => $only_predicts,
			none => [ $no_share, $no_tenant ], several => qr/./, sees => 'giver'));
}

# One that predicts: the shared model too.
sub that_predicts
{
	my ($sql, $own, $shared) = @_;
	my ($named, $of_tenant) = of_model($sql =~ s/\{text\}/matrix.asked('secret mail 1')/r, $own);
	return ($named, $of_tenant,
		call($sql =~ s/\{text\}/'one'/r =~ s/\{model\}/matrix.giver() || '\/' || matrix.giver('shared_model')/r, own => $shared,
			none => [ $no_share, $no_tenant ], several => qr/./, sees => 'giver'));
}

# A label as text and as ltree.
sub with_labels
{
	my ($type, $sql, %is) = @_;
	$sql =~ s/\{(\w+):([\w.]+)\}/"matrix.$1('secret$2')" . ($type eq 'ltree' ? '::ltree' : '')/ge;
	return call($sql, %is);
}

# All rows, but what cannot be foreseen. The rows of several tenants are those that one may use.
my $rows = q{count(*) || coalesce(E'\n' || string_agg(%s, E'\n' ORDER BY %s COLLATE "C"), '')};

sub table
{
	my ($table, %more) = @_;
	my $row = delete $more{row} // 't::text';
	my $sql = 'SELECT ' . sprintf($rows, $row, $row) . " FROM reyearn.$table AS t";
	return [ call($sql, oracle => "$sql WHERE tenant_id IN ({tenants})", none => '0', several => 'own', %more) ];
}

# The definition of a view is the oracle, over the rows of the tenant.
sub view
{
	my ($view, %more) = @_;
	my $row = delete $more{row} // 't::text';
	my $sql = 'SELECT ' . sprintf($rows, $row, $row) . " FROM reyearn.$view AS t";
	return [ call($sql, view => $view, row => $row, none => [ '0', $no_tenant ], %more) ];
}

# Refused to all but the owner of the extension; how it is called follows from its arguments.
sub refused { return map { ($_ => 'refused') } @_ }

my $no_observation = '42704: observation {obs} does not exist';
my $no_annotation = '42704: annotation {pred} does not exist';
my $nothing_changed = "$no_annotation\nDETAIL:  Nothing was changed.";
my $no_mail = no_class('{w}secret.mail');
my $attached_hint = 'HINT:  SELECT * FROM reyearn.attachments; lists what is attached.';
my $observed = q{(%s(matrix.asked('secret mail 1')%s) = matrix.id('obs'))::text};

our %objects = (
	'schema reyearn' => [ constant(q{SELECT has_schema_privilege('reyearn', 'CREATE')}, 'f') ],
	'type reyearn.training_result' => [ constant('SELECT NULL::reyearn.training_result IS NULL', 't') ],

	# Tables and views.
	(map { ("reyearn.$_" => table($_)) }
		qw(tenants classes merged_classes observations annotation_history models model_versions
		experiments runs run_labels news attached_tables attached_rows learned_rows waiting_rows catch_ups)),
	'reyearn.annotations' => table('annotations', sees => 'giver'),    # whose version predicted
	'reyearn.model_shares' => table('model_shares', sees => 'taker'),
	'reyearn.model_images' => table('model_images', row => q{concat_ws(' ', t.tenant_id, t.version_id, t.kind, t.chunk_no, md5(t.data))}),
	(map { ("reyearn.$_" => 'refused') } qw(grants login_keys turns)),
	(map { ("reyearn.$_" => 'refused') }
		qw(annotation_history_history_id_seq attached_tables_attachment_id_seq annotations_annotation_id_seq classes_class_id_seq experiments_experiment_id_seq
		model_versions_version_id_seq models_model_id_seq news_news_id_seq observations_observation_id_seq runs_run_id_seq
		tenants_tenant_id_seq)),
	(map { ("reyearn.$_" => view($_)) } qw(inbox annotation_overview class_overview model_overview attachments)),
	(map { ("reyearn.$_" => view($_, several => 'own')) } qw(model_classes training_schedule attached_columns)),
	'reyearn.parameters' => [ constant(q{SELECT count(*) > 5 FROM reyearn.parameters}, 't') ],
	'reyearn.stat_models' => view('stat_models', row => q{concat_ws(' ', t.model, t.version, t.is_live, t.memory)}),
	'reyearn.shared_models' => [ call(q{SELECT string_agg(model, ',') FROM reyearn.shared_models}, own => '{from}/{from}shared_model', sees => 'giver') ],
	# Nothing is being trained: see 030_retraining.pl.
	'reyearn.progress' => [ call('SELECT count(*) FROM reyearn.progress', own => '0', none => [ '0', $no_tenant ], several => [ '0', $several_tenants ], choice => [ '0', $bad_choice ]) ],

	# What readers may call.
	'reyearn_predict(text,text)' => [
		that_predicts('SELECT reyearn_predict({text}, {model})', '{w}secret.mail', 'shared.one'),
		call(q{SELECT reyearn_predict('mail')}, own => qq(42P08: there are several models, and none was named
DETAIL:  The models are "{o}secret_idle", "{o}secret_model", "{o}shared_model".
HINT:  Name one of them, or set reyearn.default_model.)) ],
	'reyearn_predict_proba(text,text,integer,integer)' => [
		that_predicts('SELECT label FROM reyearn_predict_proba({text}, {model}, top => 1)', '{w}secret.mail', 'shared.one'),
		call(q{SELECT bool_and(probability = round(probability::numeric, 3)::real) FROM reyearn_predict_proba('one two', matrix.giver() || '/' || matrix.giver('shared_model'))},
			own => 't', none => $no_share, several => qr/./, sees => 'giver') ],
	'reyearn.predict_row(text,text)' => [
		(that_predicts(q{SELECT concat_ws(' ', tenant_id = matrix.id('tenant'), version_id = matrix.id('version'), version, label) FROM reyearn.predict_row({text}, {model})},
			't t 2 {w}secret.mail', ''))[0, 1],
		(that_predicts(q{SELECT concat_ws(' ', tenant_id, label) FROM reyearn.predict_row({text}, {model})}, '', '{from.tenant} shared.one'))[2] ],
	'reyearn.usable_model(text)' => [
		(that_predicts(q{SELECT concat_ws(' ', tenant_id = matrix.id('tenant'), model_id = matrix.id('model'), name) FROM reyearn.usable_model({model})}, 't t {w}secret_model', ''))[0, 1],
		(that_predicts(q{SELECT concat_ws(' ', tenant_id, name) FROM reyearn.usable_model({model})}, '', '{from.tenant} {from}/{from}shared_model'))[2] ],
	'reyearn.predicted_labels(text)' => [ that_predicts('SELECT reyearn.predicted_labels({model})', '{{w}secret.home,{w}secret.mail}', '{shared.one,shared.two}') ],
	'reyearn.model_labels(integer,bigint,text)' => [
		call(q{SELECT reyearn.model_labels(matrix.id('tenant')::int, matrix.id('idle'), matrix.asked('secret_idle'))},
			own => '{{w}secret.home,{w}secret.mail}', missing => $no_model =~ s/secret_model/secret_idle/r) ],
	'reyearn_predict_with(bytea,text)' => [
		call(q{SELECT reyearn_predict_with(matrix.image(), matrix.own('secret mail 1'))}, own => '{o}secret.mail', none => '', several => '', choice => '{o}secret.mail', is_constant => 1) ],
	'reyearn_evaluate(text,integer)' => [
		of_model(q{SELECT count(*) || string_agg(concat_ws(' ', label, precision, recall, f1, support), ',' ORDER BY label) FROM reyearn_evaluate({model})},
			{ oracle => q{SELECT count(*) || string_agg(concat_ws(' ', label, precision, recall, f1, support), ',' ORDER BY label)
				FROM reyearn.run_labels WHERE run_id = (SELECT max(run_id) FROM reyearn.runs WHERE version_id = {version})} }) ],
	'reyearn_confusion_matrix(text,integer)' => [
		of_model(q{SELECT string_agg(concat_ws(' ', actual, predicted, count), ',' ORDER BY actual, predicted) FROM reyearn_confusion_matrix({model}, 1)},
			{ oracle => q{SELECT string_agg(concat_ws(' ', label, key, value), ',' ORDER BY label, key::ltree)
				FROM reyearn.run_labels, jsonb_each_text(confusion) WHERE run_id = (SELECT max(run_id) FROM reyearn.runs WHERE version_id = {version1})} }) ],
	'reyearn_status()' => [
		call(q{SELECT string_agg(name || ' ' || value || coalesce(' ' || advice, ''), ',' ORDER BY name) FROM reyearn_status()
			WHERE name IN ('classes', 'observations', 'annotations', 'models', 'parked models')},
			oracle => q{SELECT concat_ws(',', (SELECT 'annotations ' || count(*) FROM reyearn.annotations WHERE tenant_id IN ({tenants})),
				(SELECT 'classes ' || count(*) FROM reyearn.classes WHERE tenant_id IN ({tenants})),
				(SELECT 'models ' || count(*) FROM reyearn.models WHERE tenant_id IN ({tenants})) || ' Call reyearn_train() for those without a live version: {w}secret_idle.',
				(SELECT 'observations ' || count(*) FROM reyearn.observations WHERE tenant_id IN ({tenants})), 'parked models none')},
			(map { $_ => 'annotations 0,classes 0,models 0,observations 0,parked models none' } qw(none several))),
		call(q{SELECT string_agg(concat_ws(' ', name, value, state, advice), E'\n') FROM reyearn_status()}, own => qr/shared models 2 versions/,
			none => qr/tenant none warning Have the role/, several => qr/tenant none warning There are several/) ],
	'reyearn.find_current_tenant()' => [ call('SELECT reyearn.find_current_tenant()', own => '{o.tenant}', none => '', several => '') ],
	'reyearn.current_tenant()' => [ call('SELECT reyearn.current_tenant()', own => '{o.tenant}') ],
	'reyearn.usable_tenants()' => [
		call('SELECT reyearn.usable_tenants()', own => '{{o.tenant}}', none => '{}', oracle => 'SELECT array_agg(t ORDER BY t) FROM unnest(ARRAY[{tenants}]) AS t', several => 'own') ],
	'reyearn.sees_all_tenants()' => [ call('SELECT reyearn.sees_all_tenants()', map { $_ => 'f' } qw(own none several choice)) ],
	'reyearn.acting_role()' => [ constant('SELECT reyearn.acting_role()', '{acting}') ],
	'reyearn.trigger_arguments(bytea)' => [ constant(q{SELECT (reyearn.trigger_arguments('12\000version\000'))[2]}, 'version') ],
	'reyearn.content_hash(text)' => [ constant(q{SELECT reyearn.content_hash('abc') = sha256('abc')}, 't') ],
	'reyearn.parse_label(text)' => [ constant(q{SELECT reyearn.parse_label('a.b')}, 'a.b') ],
	'reyearn.same_label(ltree,ltree)' => [ constant(q{SELECT reyearn.same_label('a.b', 'a.b')}, 't') ],
	'reyearn.is_under(ltree,ltree)' => [ constant(q{SELECT reyearn.is_under('a.b', 'a')}, 't') ],
	'reyearn.parent(ltree)' => [ constant(q{SELECT reyearn.parent('a.b')}, 'a') ],
	'reyearn.ancestors(ltree)' => [ constant(q{SELECT string_agg(a::text, ' ') FROM reyearn.ancestors('a.b') AS a}, 'a a.b') ],
	'reyearn.restoring()' => [ constant('SELECT reyearn.restoring()', 'f') ],
	'reyearn.library_info()' => [ constant('SELECT count(*) FROM reyearn.library_info()', '5') ],
	'reyearn.list_parameters()' => [ constant('SELECT count(*) > 5 FROM reyearn.list_parameters()', 't') ],
	'reyearn.list_rights()' => [ constant(q{SELECT string_agg(DISTINCT level, ' ') FROM reyearn.list_rights()}, 'admin annotator reader trainer') ],
	'reyearn.list_shared_models()' => [
		call(q{SELECT string_agg(model, ',') FROM reyearn.list_shared_models()}, own => '{from}/{from}shared_model', sees => 'giver') ],
	'reyearn.model_id(text)' => [ of_model('SELECT reyearn.model_id({model})', '{model}') ],
	'reyearn.run_of_version(text,integer)' => [
		of_model('SELECT reyearn.run_of_version({model}, 1)', '{run1}'),
		call(q{SELECT reyearn.run_of_version(matrix.asked('secret_model'), 77)}, own => qq(42704: version 77 of model "{w}secret_model" does not exist\nDETAIL:  It has versions 1 to 2.),
			missing => $no_model) ],
	'reyearn.unknown_version(bigint,integer)' => [
		call(q{SELECT reyearn.unknown_version(matrix.id('model'), 77)}, own => qq(42704: version 77 of model "{w}secret_model" does not exist\nDETAIL:  It has versions 1 to 2.),
			missing => qq(42704: version 77 of model "" does not exist\nDETAIL:  It has no versions yet.)) ],
	'reyearn.no_live_version(bigint)' => [
		call(q{SELECT reyearn.no_live_version(matrix.id('idle'))}, own => qq(55000: model "{w}secret_idle" has no live version
DETAIL:  It has not been trained yet.
HINT:  Call SELECT * FROM reyearn_train('{w}secret_idle');),
			missing => qr/^55000: model "" has no live version/) ],
	'reyearn.shared_images()' => [
		call(q{SELECT string_agg(concat_ws(' ', tenant_id, version_id, state), ',' ORDER BY version_id) FROM reyearn.shared_images() WHERE state = 'live'},
			oracle => q{SELECT string_agg(concat_ws(' ', tenant_id, version_id, 'live'), ',' ORDER BY version_id) FROM reyearn.model_versions WHERE is_live AND tenant_id IN ({tenants})},
			none => '', several => 'own') ],
	'reyearn.shared_memory()' => [
		call(q{SELECT concat_ws(' ', live, sessions_with_private, private_copies) FROM reyearn.shared_memory()}, own => '2', none => '0', several => '4') ],
	'reyearn.background()' => [ constant('SELECT workers IS NULL FROM reyearn.background()', 't') ],
	'reyearn.training_now()' => [ call('SELECT run_id IS NULL FROM reyearn.training_now()', map { $_ => 't' } qw(own none several choice)) ],
	'reyearn_login(text)' => [
		constant(q{SELECT reyearn_login('no token')}, qr/^28000: /) ],

	# What annotators may call.
	'reyearn_observe(text,jsonb)' => [
		call('SELECT ' . sprintf($observed, 'reyearn_observe', ''), own => 't', missing => 'f'),
		call('SELECT ' . sprintf($observed, 'reyearn_observe', q{, '{"also": 1}'}), own => 't', missing => 'f') ],
	'reyearn.observe(text,jsonb)' => [ call('SELECT ' . sprintf($observed, 'reyearn.observe', q{, '{"also": 1}'}), own => 't', missing => 'f') ],
	'reyearn.find_observation(text)' => [ call(q{SELECT reyearn.find_observation(matrix.asked('secret mail 1'))}, own => '{obs}', missing => '') ],
	(map { (
		"reyearn_annotate(bigint,$_,text,int4range)" => [
			with_labels($_, q{SELECT reyearn_annotate(matrix.id('obs'), {own:.mail}) = matrix.id('ann')}, own => 't', missing => $no_observation),
			with_labels($_, q{SELECT reyearn_annotate(matrix.own_id('obs'), {asked:.mail}) = matrix.own_id('ann')}, own => 't', missing => $no_mail),
			with_labels($_, q{SELECT reyearn_annotate(matrix.id('obs'), {own:.mail}, 'rejected', int4range(0, 3)) > 0}, own => 't', missing => $no_observation) ],
		"reyearn_annotate_text(text,$_,text)" => [
			with_labels($_, q{SELECT reyearn_annotate_text(matrix.own('secret mail 1'), {asked:.mail}) = matrix.own_id('ann')}, own => 't', missing => $no_mail),
			with_labels($_, q{SELECT reyearn_annotate_text(matrix.asked('secret mail 1'), {own:.mail}) = matrix.id('ann')}, own => 't', missing => 'f') ],
		"reyearn_correct(bigint,$_)" => [
			with_labels($_, q{SELECT reyearn_correct(matrix.id('pred'), {own:.home}) > 0}, own => 't', missing => $no_annotation),
			with_labels($_, q{SELECT reyearn_correct(matrix.own_id('pred'), {asked:.mail}) > 0}, own => 't', missing => $no_mail) ],
		"reyearn_create_class($_,text)" => [
			with_labels($_, q{SELECT reyearn_create_class({asked:.mail}, 'another description')}, own => '', missing => '') ],
		"reyearn_move_class($_,$_,boolean)" => [
			with_labels($_, q{SELECT string_agg(what || ' ' || rows, ', ') FROM reyearn_move_class({asked:.mail}, {own:.elsewhere})},
				own => 'classes renamed 1, classes merged 0, classes created 0, annotations moved 0, annotations combined 0, models re-rooted 0', missing => $no_mail),
			with_labels($_, q{SELECT string_agg(what || ' ' || rows, ', ') FROM reyearn_move_class({own:.mail}, {asked:.home}, dry_run => true) WHERE what = 'annotations moved'},
				oracle => q{SELECT 'annotations moved ' || count(*) FROM reyearn.annotations WHERE class_id = {class}}, missing => 'annotations moved 0') ],
		"reyearn_drop_class($_,boolean)" => [
			with_labels($_, q{SELECT string_agg(what || ' ' || rows, ', ') FROM reyearn_drop_class({asked:.mail})},
				oracle => q{SELECT 'classes dropped 1, annotations dropped ' || count(*) FROM reyearn.annotations WHERE class_id = {class}}, missing => $no_mail) ]
	) } qw(text ltree)),
	(map { my $verb = $_; (
		"reyearn_$verb(bigint)" => [ call("SELECT reyearn_$verb(matrix.id('pred'))", own => '1', missing => $nothing_changed) ],
		"reyearn_$verb(bigint[])" => [ call("SELECT reyearn_$verb(ARRAY[matrix.own_id('pred'), matrix.id('pred')])", own => '1', missing => $nothing_changed) ]
	) } qw(confirm reject)),
	'reyearn_classify(text,text,jsonb)' => [
		that_predicts(q{SELECT concat_ws(' ', label, version, annotation_id > 0) FROM reyearn_classify({text}, {model})}, '{w}secret.mail 2 t', 'shared.one 1 t') ],
	'reyearn.find_class(ltree)' => [ with_labels('ltree', 'SELECT reyearn.find_class({asked:.mail})', own => '{class}', missing => '') ],
	'reyearn.lock_class(ltree)' => [ with_labels('ltree', 'SELECT reyearn.lock_class({asked:.mail})', own => '{class}', missing => $no_mail) ],
	'reyearn.unknown_class(ltree)' => [
		with_labels('ltree', 'SELECT reyearn.unknown_class({asked:.mail.more})',
			own => no_class('{w}secret.mail.more') =~ s/There is .*/The nearest class above it is "{w}secret.mail"./r, missing => no_class('{w}secret.mail.more')) ],
	'reyearn.unknown_observation(bigint)' => [
		call(q{SELECT reyearn.unknown_observation(matrix.id('obs'))}, (map { $_ => $no_observation } qw(own missing)), none => [ $no_observation, $no_tenant ],
			several => [ $no_observation, $several_tenants ]) ],
	'reyearn.check_status(text)' => [ constant(q{SELECT reyearn.check_status('confirmed')}, '') ],
	'reyearn.check_span(int4range,integer)' => [ constant(q{SELECT reyearn.check_span('[0,1)', 1)}, '') ],
	'reyearn.put_annotation(bigint,bigint,int4range,text)' => [
		call(q{SELECT reyearn.put_annotation(matrix.id('obs'), matrix.own_id('class'), NULL, 'confirmed') = matrix.id('ann')}, own => 't', missing => $no_observation),
		call(q{SELECT reyearn.put_annotation(matrix.own_id('obs'), matrix.id('class'), NULL, 'confirmed') = matrix.own_id('ann')}, own => 't',
			missing => no_key('annotations', 'class_id')) ],
	'reyearn.set_status(bigint[],text)' => [ call(q{SELECT reyearn.set_status(ARRAY[matrix.id('pred')], 'unknown')}, own => '1', missing => $nothing_changed) ],

	'reyearn.learn_label(text,text,text,text[])' => [
		call(q{SELECT reyearn.learn_label(matrix.own('secret mail 1'), matrix.asked('secret.mail'))}, own => '', missing => $no_mail),
		call(q{SELECT reyearn.learn_label(matrix.own('secret mail 1'), NULL, matrix.asked('secret.mail'), ARRAY[matrix.asked('secret.home')])}, own => '', missing => '') ],
	'reyearn.learn_labels(text[],text[])' => [
		call(q{SELECT reyearn.learn_labels(ARRAY[matrix.own('secret mail 1')], ARRAY[matrix.asked('secret.mail')])}, own => '{}', missing => '{{w}secret.mail}') ],
	'reyearn.note_learned(bigint,text[],text[])' => [ call(q{SELECT reyearn.note_learned(matrix.id('att'), '{{9}}', '{x}')}, own => '', missing => '') ],
	'reyearn.qualified_type(oid,integer)' => [ constant(q{SELECT reyearn.qualified_type('uuid'::regtype, -1)}, 'pg_catalog.uuid') ],
	'reyearn.refused_label(regclass,smallint,text[])' => [ constant(q{SELECT reyearn.refused_label('matrix.inbox', 3::int2, '{a}') IS NULL}, 't') ],
	'reyearn.key_expressions(regclass)' => [ constant(q{SELECT key FROM reyearn.key_expressions('matrix.inbox')}, q{ARRAY[pg_catalog.format('%s', t.id) COLLATE pg_catalog."C"]}) ],
	'reyearn_confirm_row(regclass,text[])' => [ call(q{SELECT reyearn_confirm_row('matrix.inbox', '1')},
		own => qq(42704: table matrix.inbox is not attached to a model that learns\n$attached_hint)) ],

	# What trainers may call.
	'reyearn_attach(regclass,name,name,text,text,name,name)' => [
		that_predicts(q{SELECT reyearn_attach('matrix.inbox', 'body', 'label', {model})}, '', ''),
		call(q{SELECT reyearn_attach('matrix.ids', 'word', 'kind', 'x')}, own => '42501: must be owner of table ids') ],
	'reyearn_detach(regclass,name)' => [ call(q{SELECT reyearn_detach('matrix.inbox')}, own => qq(42704: table matrix.inbox is not attached\n$attached_hint)) ],
	'reyearn.check_attached_relation(regclass)' => [ constant(q{SELECT reyearn.check_attached_relation('matrix.inbox')}, '') ],
	'reyearn.attached_column(regclass,name)' => [ constant(q{SELECT (reyearn.attached_column('matrix.inbox', 'body')).attname}, 'body') ],
	'reyearn.check_text_column(regclass,name)' => [ constant(q{SELECT reyearn.check_text_column('matrix.inbox', 'body')}, '') ],
	'reyearn.check_label_column(regclass,name,text[])' => [ constant(q{SELECT reyearn.check_label_column('matrix.inbox', 'label', '{a}')}, '') ],
	'reyearn.check_not_attached(regclass,name)' => [ constant(q{SELECT reyearn.check_not_attached('matrix.inbox', 'label')}, '') ],
	# Which model it is, is asked when it is used.
	'reyearn.put_attachment(regclass,name,integer,bigint)' => [
		call(q{SELECT reyearn.put_attachment('matrix.inbox', 'label', matrix.id('tenant')::int, matrix.id('model')) > 0}, own => 't', missing => 't') ],
	'reyearn.check_prediction_column(regclass,name,regtype[])' => [ constant(q{SELECT reyearn.check_prediction_column('matrix.inbox', 'body', '{text}')}, '') ],
	'reyearn.create_attachment_triggers(regclass,bigint,name,name,name,name)' => [
		constant(q{SELECT reyearn.create_attachment_triggers('matrix.ids', 1, 'word', 'kind', NULL, NULL)}, '42501: permission denied for table ids') ],
	'reyearn.begin_catch_up(bigint,boolean)' => [ call(q{SELECT reyearn.begin_catch_up(matrix.id('att'), true)}, own => '', missing => '') ],
	'reyearn.has_work(bigint)' => [ call(q{SELECT reyearn.has_work(matrix.id('att'))}, own => 'f', missing => 'f') ],
	'reyearn.check_table_owner(regclass,regrole)' => [ constant(q{SELECT reyearn.check_table_owner('matrix.inbox', quote_ident(current_user)::regrole)}, '') ],
	'reyearn.key_columns(regclass)' => [ constant(q{SELECT reyearn.key_columns('matrix.inbox')}, '{id}') ],
	'reyearn.catch_up(bigint,integer)' => [ call(q{SELECT reyearn.catch_up(matrix.id('att'), 10)}, own => '0', missing => '0') ],
	'reyearn.catch_up_now(bigint,bigint)' => [ call(q{SELECT reyearn.catch_up_now(matrix.id('att'))}, own => '0', missing => '0') ],
	'reyearn.catch_up_or_leave(bigint)' => [ call(q{SELECT reyearn.catch_up_or_leave(matrix.id('att'))}, own => '', missing => '') ],
	'reyearn.queue_relabel(bigint,real)' => [
		call(q{SELECT reyearn.queue_relabel(matrix.id('att'), NULL)}, own => '1', missing => "55000: the model of the attachment has no live version\nHINT:  Call reyearn_train().") ],
	'reyearn.own_attachments(regclass)' => [ call(q{SELECT count(*) FROM reyearn.own_attachments('matrix.inbox')}, own => qq(42704: table matrix.inbox is not attached\n$attached_hint)) ],
	'reyearn_catch_up(regclass)' => [ call(q{SELECT reyearn_catch_up('matrix.inbox')}, own => qq(42704: table matrix.inbox is not attached\n$attached_hint)) ],
	'reyearn_relabel(regclass,real)' => [ call(q{SELECT reyearn_relabel('matrix.inbox')}, own => qq(42704: table matrix.inbox is not attached\n$attached_hint)) ],
	'reyearn_forget_rows(regclass)' => [ call(q{SELECT reyearn_forget_rows('matrix.inbox')}, own => qq(42704: table matrix.inbox is not attached\n$attached_hint)),
		call(q{SELECT reyearn_forget_rows()}, own => '0') ],
	'reyearn.forget_deleted_rows(bigint)' => [ call(q{SELECT reyearn.forget_deleted_rows(matrix.id('att'))}, own => '22P02: invalid input syntax for type integer: "{w}secret"', missing => '0') ],
	'reyearn.forget_dropped_tables()' => [ call('SELECT reyearn.forget_dropped_tables()', own => '0') ],
	'reyearn.announce_work()' => [ constant('SELECT reyearn.announce_work()', '') ],
	(map { ("reyearn.$_()" => [ constant("SELECT reyearn.$_()", 'XX000: not called by a trigger') ]) } qw(label_row learn_row)),
	'reyearn_create_model(text,text,text,text,jsonb,integer,interval,text,integer)' => [
		call(q{SELECT reyearn_create_model(matrix.asked('secret_model')) > 0}, own => qq(42710: model "{w}secret_model" already exists\nHINT:  Change it with reyearn_alter_model().), missing => 't'),
		with_labels('text', q{SELECT reyearn_create_model('fresh', {asked:.mail}) > 0}, own => 't', missing => $no_mail) ],
	'reyearn_alter_model(text,text,text,text,jsonb,integer,interval,text,integer,name)' => [
		of_model('SELECT reyearn_alter_model({model}, keep_versions => 9)', ''),
		with_labels('text', q{SELECT reyearn_alter_model(matrix.own('secret_model'), {asked:.mail})}, own => '', missing => $no_mail) ],
	'reyearn_drop_model(text)' => [ of_model('SELECT reyearn_drop_model({model})', '') ],
	'reyearn_train(text,jsonb,boolean)' => [
		of_model('SELECT outcome FROM reyearn_train({model})', 'promoted'),
		call(q{SELECT outcome FROM reyearn_train(matrix.asked('secret_model'), wait => false)}, (map { $_ => qq(55000: training in the background is switched off
DETAIL:  reyearn.max_workers is 0.
HINT:  Raise it, or call reyearn_train() with wait => true.) } qw(own missing none several choice))) ],
	'reyearn_promote(text,integer)' => [
		of_model('SELECT reyearn_promote({model}, 1)', ''),
		call(q{SELECT reyearn_promote(matrix.asked('secret_model'), 77)}, own => qq(42704: version 77 of model "{w}secret_model" does not exist\nDETAIL:  It has versions 1 to 2.), missing => $no_model) ],
	'reyearn_rollback(text)' => [ of_model('SELECT reyearn_rollback({model})', '1') ],
	'reyearn_export_model(text,integer)' => [
		of_model('SELECT md5(reyearn_export_model({model}))', { oracle => q{SELECT md5(string_agg(data, '' ORDER BY chunk_no)) FROM reyearn.model_images
			WHERE version_id = {version} AND kind = 'serving'} }) ],
	'reyearn_import_model(text,bytea)' => [ call(q{SELECT reyearn_import_model(matrix.asked('secret_model'), matrix.image())}, own => '3', missing => '1',
		none => [ qr/^22004: "image" must not be NULL/, $no_tenant ], several => qr/^22004: "image" must not be NULL/) ],
	'reyearn.lock_taxonomy(boolean)' => [ call('SELECT reyearn.lock_taxonomy(true)', own => '') ],
	'reyearn.moved_classes(integer,ltree,ltree)' => [
		with_labels('ltree', q{SELECT string_agg(class_id || ' ' || label::text, ',') FROM reyearn.moved_classes(matrix.id('tenant')::int, {asked:.mail}, 'x')},
			own => '{class} {w}secret.mail', missing => '', none => '', several => 'own') ],
	'reyearn.move_branch(ltree,ltree)' => [ with_labels('ltree', q{SELECT reyearn.move_branch({asked:.mail}, 'x.y')}, own => '', missing => '') ],
	'reyearn.delete_classes(bigint[])' => [ call(q{SELECT reyearn.delete_classes(ARRAY[matrix.id('class2')])}, own => '', missing => '') ],
	'reyearn.delete_model(bigint)' => [ call(q{SELECT reyearn.delete_model(matrix.id('model'))}, own => '', missing => '') ],
	'reyearn.create_class(text)' => [ with_labels('text', 'SELECT reyearn.create_class({asked:.mail})', own => '', missing => '') ],
	'reyearn.create_model(text,text,text)' => [
		call(q{SELECT reyearn.create_model(matrix.asked('secret_model'), '', 'auto') > 0}, own => qq(42710: model "{w}secret_model" already exists\nHINT:  Change it with reyearn_alter_model().), missing => 't'),
		with_labels('text', q{SELECT reyearn.create_model('fresh', {asked:.mail}, 'auto') > 0}, own => 't', missing => $no_mail) ],
	'reyearn.check_params(text,jsonb)' => [ constant(q{SELECT reyearn.check_params('auto', '{}')}, '') ],
	'reyearn.check_model(reyearn.models)' => [ constant(q{SELECT reyearn.check_model(jsonb_populate_record(NULL::reyearn.models, '{"name": "a/b", "task": "classification",
		"algorithm": "auto", "params": {}, "retrain_after": 1, "retrain_delay": "1 s", "promotion": "always", "keep_versions": 1}'))}, qr/^22023: invalid model name "a\/b"/) ],
	'reyearn.lock_model(text,text)' => [ of_model(q{SELECT reyearn.lock_model({model}, 'name')}, '{model}') ],
	'reyearn.label_root_id(text)' => [ with_labels('text', 'SELECT reyearn.label_root_id({asked:.mail})', own => '{class}', missing => $no_mail) ],
	'reyearn.make_live(bigint,integer,boolean)' => [ call(q{SELECT reyearn.make_live(matrix.id('model'), 1, false)}, own => '', missing => '42704: version 1 does not exist') ],
	'reyearn.image_labels(bytea)' => [ call('SELECT reyearn.image_labels(matrix.image())', own => '{{o}secret.home,{o}secret.mail}', none => '', several => '', choice => '{{o}secret.home,{o}secret.mail}', is_constant => 1) ],
	'reyearn.image_algorithm(bytea)' => [ call('SELECT length(reyearn.image_algorithm(matrix.image())) > 3', own => 't', none => '', several => '', choice => 't', is_constant => 1) ],
	'reyearn.store_image(bigint,bytea,bigint[],boolean)' => [
		call(q{SELECT reyearn.store_image(matrix.id('model'), matrix.image(), ARRAY[matrix.own_id('class2'), matrix.own_id('class')], false)}, own => '3',
			missing => qr/^42704: /, none => [ '', $no_tenant ], several => '', choice => $bad_choice) ],
	'reyearn.class_ids(text[])' => [ with_labels('text', 'SELECT reyearn.class_ids(ARRAY[{asked:.mail}])', own => '{{class}}', missing => '{NULL}') ],

	# What admins may call.
	'reyearn_forget(bigint)' => [ call(q{SELECT reyearn_forget(matrix.id('obs'))}, own => '', missing => $no_observation) ],
	'reyearn.delete_observation(bigint)' => [ call(q{SELECT reyearn.delete_observation(matrix.id('obs'))}, own => '', missing => '') ],
	'reyearn.delete_share(bigint,integer)' => [
		call(q{SELECT reyearn.delete_share(matrix.id('shared'), (SELECT id FROM matrix.ids WHERE word = matrix.taker() AND kind = 'tenant')::int)}, own => 't', missing => 'f') ],
	'reyearn_share_model(text,text)' => [
		of_model(q{SELECT reyearn_share_model({model}, matrix.giver())}, ''),
		call(q{SELECT reyearn_share_model(matrix.own('secret_model'), matrix.asked())}, own => '22023: model "{o}secret_model" belongs to tenant "{w}" itself',
			missing => '42704: tenant "{w}" does not exist', other => '') ],
	'reyearn_unshare_model(text,text)' => [
		of_model(q{SELECT reyearn_unshare_model({model}, matrix.giver())}, [ map { qq(42704: model "$_" is not shared with tenant "{from}") } '{w}secret_model', '{w}/{w}secret_model' ]),
		call(q{SELECT reyearn_unshare_model(matrix.asked('shared_model'), matrix.taker())}, own => '', missing => $no_model =~ s/secret/shared/r) ],
	# Whom one may share with: the names of tenants are no secret from admins.
	'reyearn.tenant_id(text)' => [ call('SELECT reyearn.tenant_id(matrix.asked())', (map { $_ => '{tenant}' } qw(own other none several choice)),
		missing => '42704: tenant "{w}" does not exist') ],
	'reyearn.check_share(text,text)' => [ call(q{SELECT reyearn.check_share('x', matrix.asked())}, own => '22023: model "x" belongs to tenant "{w}" itself', other => '{tenant}',
		missing => '42704: tenant "{w}" does not exist') ],

	# What nobody may call but the owner of the extension.
	refused(split ' ', q(
		reyearn_grant(name,text,boolean) reyearn_revoke(name) reyearn.check_public_key(text) reyearn_create_tenant(text,name) reyearn_alter_tenant(text,name,integer,bigint,integer)
		reyearn_drop_tenant(text,boolean) reyearn.begin_run(integer,bigint,bigint,bigint) reyearn.check_image_quota(integer)
		reyearn.check_model_quota(integer) reyearn.check_tenant(text,name) reyearn.fail_run(bigint,text,text)
		reyearn.has_training_place(integer) reyearn.hold_off_training() reyearn.is_model_free(integer,bigint) reyearn.list_objects()
		reyearn.lock_tenant(text) reyearn.may_begin_training() reyearn.news_of_model(integer,bigint) reyearn.next_training()
		reyearn.older_siblings(integer,bigint) reyearn.postpone_run(bigint) reyearn.prune_versions(integer,bigint)
		reyearn.news_of_move(integer,ltree,ltree) reyearn.merge_class(integer,bigint,bigint) reyearn.move_branch_of(integer,ltree,ltree)
		reyearn.delete_classes_of(integer,bigint[]) reyearn.delete_model_of(integer,bigint) reyearn.delete_observation_of(integer,bigint)
		reyearn.delete_share_of(integer,bigint,integer) reyearn.make_live_of(integer,bigint,integer,boolean)
		reyearn.count_models(integer) reyearn.note_attachment_error(integer,bigint,text)
		reyearn.attachment_queries(integer,bigint) reyearn.read_rows(regclass,text,text[],integer) reyearn.lock_rows(regclass,text,text[])
		reyearn.write_labels(regclass,bigint,text,text[]) reyearn.check_attachment(regclass,bigint) reyearn.learn_labels_of(regclass,bigint,text[],text[])
		reyearn.add_waiting(integer,bigint,text[]) reyearn.add_learned(integer,bigint,integer,text[],text[]) reyearn.each_key(text[]) reyearn.note_learned_of(integer,bigint,text[],text[])
		reyearn.sweep(reyearn.attached_tables,reyearn.catch_ups,integer) reyearn.what_to_do(regclass,bigint,text[],text,text)
		reyearn.label_one_by_one(reyearn.attached_tables,text[]) reyearn.take_waiting(integer,bigint,integer) reyearn.stop_waiting(integer,bigint,text[])
		reyearn.refuse_waiting(integer,bigint,text[],text) reyearn.is_of_a_row(text) reyearn.label_free(reyearn.attached_tables,text[])
		reyearn.check_attached_table(reyearn.attached_tables) reyearn.has_deferred_triggers(regclass) reyearn.is_worker() reyearn.has_work_of(integer,bigint)
		reyearn.begin_catch_up_of(integer,bigint,boolean)
		reyearn.label_waiting(reyearn.attached_tables,integer) reyearn.catch_up_of(integer,bigint,integer) reyearn.next_catch_up(bigint[])
		reyearn.put_back_catch_up(integer,bigint) reyearn.fail_catch_up(integer,bigint,text,boolean) reyearn.queue_relabel_of(integer,bigint,real)
		reyearn.forget_deleted_rows_of(integer,bigint) reyearn.forget_dropped_tables_of(integer) reyearn.image_bytes(integer) reyearn.close_default_tenant(regrole) reyearn.queue_run(integer,bigint,jsonb) reyearn.revoke_all(regrole))),
	refused(map { "reyearn.$_()" } qw(
		check_annotation check_model_owner check_restored_role follow_changes insert_into_inbox load_in_any_order model_changed news_added own_attachment
		record_deleted record_inserted record_updated refuse_inbox_change run_ended tenants_changed version_changed)));

# --- The data.

my @members = qw(alice bob carol dave nobody_role app);

# Roles belong to the server. What a role is granted depends on the tenant that it is a member of then: nobody_role loses
# that later, and so never had the default tenant.
sub create_roles
{
	my ($node) = @_;
	$node->safe_psql('postgres', join ';',
		(map { "CREATE ROLE $_" } qw(acme beta applications)),
		(map { "CREATE ROLE $_ LOGIN" } @members),
		'CREATE ROLE pool LOGIN NOINHERIT',
		'GRANT applications TO ' . join(', ', @members),
		'GRANT alice, bob TO pool', 'GRANT acme TO alice, carol, dave', 'GRANT beta TO bob, carol');
	return;
}

# What a tenant has. {W} is its word.
my $data = q{
	SELECT reyearn_create_class(l, '{W}secret description') FROM unnest('{{W}secret.mail,{W}secret.home,{W}secret.old,shared.one,shared.two}'::text[]) AS l;
	SELECT count(reyearn_annotate(reyearn_observe('{W}secret ' || c || ' ' || i, '{"from": "{W}secret"}'), '{W}secret.' || c))
	  FROM unnest('{mail,home,old}'::text[]) AS c, generate_series(1, 6) AS i;
	SELECT count(reyearn_annotate_text(c || ' ' || i, 'shared.' || c)) FROM unnest('{one,two}'::text[]) AS c, generate_series(1, 6) AS i;
	SELECT count(*) FROM reyearn_move_class('{W}secret.old', '{W}secret.home');
	SELECT reyearn_create_model('{W}secret_model', '{W}secret', promotion => 'always'), reyearn_create_model('{W}secret_idle', '{W}secret'),
	       reyearn_create_model('{W}shared_model', 'shared', promotion => 'always');
	SELECT outcome FROM reyearn_train('{W}shared_model');
	SELECT outcome FROM reyearn_train('{W}secret_model');
	SELECT reyearn_annotate_text('{W}secret mail 1', '{W}secret.home', 'rejected'), reyearn_annotate_text('{W}secret home 2', '{W}secret.mail', 'unknown'),
	       reyearn_annotate(reyearn_observe('{W}secret mail 2'), '{W}secret.mail', 'confirmed', int4range(0, 4));
	SELECT reyearn_annotate_text('{W}secret mail 7', '{W}secret.mail');
	SELECT outcome FROM reyearn_train('{W}secret_model');
	SELECT reyearn_annotate_text('{W}secret mail 8', '{W}secret.mail');
	SELECT label FROM reyearn_classify('{W}secret letter mail', '{W}secret_model');
	SELECT reyearn_attach('matrix.{W}secret_inbox', 'body', 'label', '{W}secret_model');
	INSERT INTO matrix.{W}secret_inbox VALUES (1, '{W}secret mail 9');
	SELECT reyearn_predict('one', '{W}shared_model')};

# What tenants share with each other, once all have it.
my $sharing = q{
	SELECT reyearn_share_model('{W}shared_model', '{TO}');
	SELECT label FROM reyearn_classify('one and {W}secret', '{FROM}/{FROM}shared_model')};

my $helpers = q{
	CREATE EXTENSION dblink;
	CREATE SCHEMA matrix;
	GRANT USAGE ON SCHEMA matrix TO PUBLIC;
	CREATE TABLE matrix.ids (word text, kind text, id bigint, PRIMARY KEY (word, kind));
	CREATE TABLE matrix.images (word text PRIMARY KEY, image bytea);
	CREATE TABLE matrix.inbox (id int PRIMARY KEY, body text, label text);
	ALTER TABLE matrix.inbox OWNER TO applications;
	GRANT SELECT ON ALL TABLES IN SCHEMA matrix TO PUBLIC;
	CREATE FUNCTION matrix.asked(more text DEFAULT '') RETURNS text LANGUAGE sql STABLE PARALLEL SAFE RETURN current_setting('matrix.asked') || more;
	CREATE FUNCTION matrix.own(more text DEFAULT '') RETURNS text LANGUAGE sql STABLE PARALLEL SAFE RETURN current_setting('matrix.own') || more;
	CREATE FUNCTION matrix.giver(more text DEFAULT '') RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
	    RETURN CASE matrix.own() WHEN 'acme' THEN 'default' WHEN 'default' THEN 'beta' ELSE 'acme' END || more;
	CREATE FUNCTION matrix.taker() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
	    RETURN CASE matrix.own() WHEN 'acme' THEN 'beta' WHEN 'default' THEN 'acme' ELSE 'default' END;
	CREATE FUNCTION matrix.id(kind text) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
	    RETURN coalesce((SELECT i.id FROM matrix.ids AS i WHERE i.word = matrix.asked() AND i.kind = $1), 9999999);
	CREATE FUNCTION matrix.own_id(kind text) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
	    RETURN coalesce((SELECT i.id FROM matrix.ids AS i WHERE i.word = matrix.own() AND i.kind = $1), 9999999);
	CREATE FUNCTION matrix.image() RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
	    RETURN (SELECT i.image FROM matrix.images AS i WHERE i.word = matrix.own());

	-- dave's membership, by another session.
	CREATE FUNCTION matrix.let_dave(is_member boolean) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
	BEGIN
	    IF dblink_get_connections() IS NULL THEN
	        PERFORM dblink_connect('other', format('host=%s port=%s dbname=%s user=%s',
	            split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database(), current_user));
	    END IF;
	    PERFORM dblink_exec('other', CASE WHEN is_member THEN 'GRANT acme TO dave' ELSE 'REVOKE acme FROM dave' END);
	END
	$$;};

# Calls a statement with the rights of a member.
sub _definer
{
	my ($member) = @_;
	return qq{
		CREATE FUNCTION matrix.by_$member(statement text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS \$\$
		DECLARE
		    answer text;
		BEGIN
		    EXECUTE statement INTO answer;
		    RETURN answer;
		END
		\$\$;
		ALTER FUNCTION matrix.by_$member(text) OWNER TO $member};
}

my %kinds = (
	tenant => q{SELECT tenant_id FROM reyearn.tenants WHERE name = '{W}'},
	obs => q{SELECT observation_id FROM reyearn.observations WHERE body = '{W}secret mail 1'},
	class => q{SELECT class_id FROM reyearn.classes WHERE label = '{W}secret.mail'},
	class2 => q{SELECT class_id FROM reyearn.classes WHERE label = '{W}secret.home'},
	ann => q{SELECT annotation_id FROM reyearn.annotations JOIN reyearn.observations USING (tenant_id, observation_id)
		WHERE body = '{W}secret mail 1' AND status = 'confirmed'},
	pred => q{SELECT annotation_id FROM reyearn.annotations JOIN reyearn.observations USING (tenant_id, observation_id)
		WHERE body = '{W}secret letter mail'},
	model => q{SELECT model_id FROM reyearn.models WHERE name = '{W}secret_model'},
	shared => q{SELECT model_id FROM reyearn.models WHERE name = '{W}shared_model'},
	att => q{SELECT attachment_id FROM reyearn.attached_tables WHERE relation = 'matrix.{W}secret_inbox'::regclass},
	idle => q{SELECT model_id FROM reyearn.models WHERE name = '{W}secret_idle'},
	version => q{SELECT version_id FROM reyearn.model_versions JOIN reyearn.models USING (tenant_id, model_id) WHERE name = '{W}secret_model' AND version = 2},
	version1 => q{SELECT version_id FROM reyearn.model_versions JOIN reyearn.models USING (tenant_id, model_id) WHERE name = '{W}secret_model' AND version = 1},
	run1 => q{SELECT min(run_id) FROM reyearn.runs JOIN reyearn.models USING (tenant_id, model_id) WHERE name = '{W}secret_model' AND outcome = 'promoted'});

sub fill_database
{
	my ($node, $database) = @_;
	my $tables = $node->safe_psql($database, q{
		SELECT string_agg(format('SELECT md5(t::text) FROM reyearn.%I AS t WHERE t.tenant_id <> ALL (mine)', c.relname), ' UNION ALL ')
		  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
		 WHERE c.relnamespace = 'reyearn'::regnamespace AND c.relkind = 'r'});
	# Numbers that cannot be anything else, none of them of two kinds.
	my $numbers = $node->safe_psql($database, q{
		SELECT string_agg(format('ALTER SEQUENCE %s RESTART %s', seqrelid::regclass, 3000001 + 100000 * row_number), ';')
		  FROM (SELECT seqrelid, row_number() OVER (ORDER BY seqrelid) FROM pg_sequence WHERE seqrelid IN
		        (SELECT oid FROM pg_class WHERE relnamespace = 'reyearn'::regnamespace)) AS s});
	my $members = join ',', @members;
	my $sql = "\\set ON_ERROR_STOP on\nSET matrix.asked = ''; SET matrix.own = '';\n$helpers\n$numbers;" . _definer('alice') . ';' . _definer('bob') . ';' . qq{
		-- What others have than those who are named, in short.
		CREATE FUNCTION matrix.others(names text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS \$\$
		DECLARE
		    mine CONSTANT int[] := ARRAY(SELECT t.tenant_id FROM reyearn.tenants AS t WHERE t.name = ANY (string_to_array(names, ' ')));
		BEGIN
		    RETURN (SELECT md5(string_agg(md5, '' ORDER BY md5)) FROM ($tables) AS t);
		END
		\$\$;
		GRANT acme TO nobody_role;
		SELECT reyearn_create_tenant(w, w) FROM unnest('{acme,beta}'::text[]) AS w;
		SELECT reyearn_grant(r, 'admin') FROM unnest('{$members}'::name[]) AS r;
		REVOKE acme FROM nobody_role;
		};
	for my $word (@words)
	{
		$sql .= "CREATE TABLE matrix.${word}secret_inbox (LIKE matrix.inbox INCLUDING ALL); ALTER TABLE matrix.${word}secret_inbox OWNER TO applications;";
		$sql .= "SET ROLE $member{$word}; " . ($data =~ s/\{W\}/$word/gr) . '; RESET ROLE;';
	}
	for my $to (@words)
	{
		my $from = $shared_from{$to};
		$sql .= "SET ROLE $member{$from};" . ((split /;/, $sharing)[0] =~ s/\{W\}/$from/r =~ s/\{TO\}/$to/r) . ';';
		$sql .= "SET ROLE $member{$to};" . ((split /;/, $sharing)[1] =~ s/\{W\}/$to/r =~ s/\{FROM\}/$from/gr) . ';';
	}
	$sql .= 'RESET ROLE;';
	for my $word (@words)
	{
		$sql .= "INSERT INTO matrix.ids VALUES ('$word', '$_', (" . ($kinds{$_} =~ s/\{W\}/$word/gr) . '));' for sort keys %kinds;
		$sql .= qq{
			UPDATE reyearn.classes SET title = '${word}secret title' WHERE label ~ '${word}secret.*';
			UPDATE reyearn.runs SET reason = '${word}secret reason' WHERE tenant_id = (SELECT id FROM matrix.ids WHERE word = '$word' AND kind = 'tenant');
			INSERT INTO reyearn.learned_rows (tenant_id, attachment_id, key, text_hash, times_attached)
			SELECT t.id, a.id, '{${word}secret}', 1, 1 FROM matrix.ids AS t JOIN matrix.ids AS a USING (word) WHERE (t.word, t.kind, a.kind) = ('$word', 'tenant', 'att');
			INSERT INTO reyearn.waiting_rows (tenant_id, attachment_id, key, is_refused)
			SELECT t.id, a.id, '{${word}secret}', true FROM matrix.ids AS t JOIN matrix.ids AS a USING (word) WHERE (t.word, t.kind, a.kind) = ('$word', 'tenant', 'att');
			INSERT INTO reyearn.runs (tenant_id, model_id, outcome, reason, started_by)
			SELECT t.id, m.id, 'failed', '${word}secret failure', '$member{$word}' FROM matrix.ids AS t JOIN matrix.ids AS m USING (word) WHERE (t.word, t.kind, m.kind) = ('$word', 'tenant', 'model');
			SET ROLE $member{$word};
			INSERT INTO matrix.images VALUES ('$word', reyearn_export_model('${word}secret_model'));
			} =~ s/INSERT INTO matrix.images VALUES \('(\w+)', (.*)\);/SELECT $2 AS image \\gset\n RESET ROLE; INSERT INTO matrix.images VALUES ('$1', :'image');/r;
	}
	$sql .= 'ANALYZE;';
	my ($out, $errors) = _psql($node, $database, undef, $sql);
	die "cannot fill the database: $errors" if $errors =~ /ERROR|FATAL/;
	return;
}

# What of the extension one could call or read, named as SQL does.
sub objects_of
{
	my ($node, $database) = @_;
	return split /\n/, $node->safe_psql($database, q{
		SELECT CASE d.classid WHEN 'pg_proc'::regclass THEN d.objid::regprocedure::text
		                      WHEN 'pg_class'::regclass THEN d.objid::regclass::text
		                      WHEN 'pg_type'::regclass THEN 'type ' || d.objid::regtype
		                      WHEN 'pg_namespace'::regclass THEN 'schema ' || d.objid::regnamespace
		                      ELSE pg_describe_object(d.classid, d.objid, 0) END
		  FROM pg_depend AS d
		  JOIN pg_extension AS x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid
		 WHERE x.extname = 'reyearn' AND d.deptype = 'e'
		 ORDER BY 1});
}

# No statement of these takes long; with checks switched off some would go on for ever.
our $timeout = '60s';

sub _psql
{
	my ($node, $database, $user, $sql) = @_;
	my @command = ('psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr($database) . ($user ? " user=$user" : ''), '-f', '-');
	my ($out, $errors) = ('', '');
	IPC::Run::run(\@command, '<', \"SET client_min_messages = error; SET statement_timeout = '$timeout';\n$sql\n", '>', \$out, '2>', \$errors);
	return ($out, $errors);
}

# --- Situations. Each is a name, who logs in, what it does first, and the steps that it takes with each call: who it acts
# for, whom it asks, how it stands towards tenants, and what is done before. A step by default is a transaction that
# is rolled back.
#   stands: own (for a tenant), none (for none), several (none chosen), choice (another's chosen), expired
our @situations = (
	(map { my ($who, $own) = ($member{$_}, $_); [ 'own tenant', $who, '', sub { step($who, $own, $own) } ] } @words),
	[ 'own tenant, chosen', 'carol', '', sub { map { step('carol', $_, $_, before => "SET reyearn.tenant = '$_';") } qw(beta acme) } ],
	(map {
		my ($who, $own) = ($member{$_}, $_);
		[ 'other tenant', $who, '', sub { map { step($who, $own, $_) } ((grep { $_ ne $own } @words), 'nosuch') } ]
	} @words),
	[ 'other tenant, not chosen', 'carol', q{SET reyearn.tenant = 'beta';}, sub { map { step('carol', 'beta', $_) } qw(acme nosuch) } ],
	[ 'none chosen', 'carol', '', sub { step('carol', '', 'acme', stands => 'several') } ],
	[ 'other tenant, chosen', 'bob', '', sub { map { step('bob', 'beta', $_, stands => 'choice', before => "SET reyearn.tenant = '$_';") } qw(acme nosuch) } ],
	[ 'no tenant', 'nobody_role', '', sub { map { step('nobody_role', '', $_, stands => 'none') } qw(acme default nosuch) } ],
	[ 'revoked', 'dave', '', sub { (
		step('dave', 'acme', 'acme'),
		step('dave', '', 'acme', stands => 'none', before => _let_dave('false'), after => _let_dave('true'))) } ],
	[ 'revoked in a transaction', 'dave', '', sub { (
		step('dave', 'acme', 'acme', before => 'BEGIN; SAVEPOINT s;', run => '{call}', after => '\if :failed ROLLBACK TO s; \else RELEASE s; \endif'),
		step('dave', '', 'acme', stands => 'none', before => _let_dave('false'), run => '{call}', after => 'ROLLBACK;' . _let_dave('true'), changed => 'acme')) } ],
	[ 'SET ROLE', undef, '', \&_in_turn ],
	[ 'SET ROLE of a pool', 'pool', '', sub { grep { $_->{role} ne 'nobody_role' } _in_turn(@_) } ],
	[ 'SET ROLE in a transaction', undef, '', sub {
		my @steps = _in_turn(@_);
		for my $step (@steps)
		{
			$step->{before} = 'SAVEPOINT s;' . ($step->{before} =~ s/SET ROLE/SET LOCAL ROLE/r);
			$step->{run} = '{call}';
			$step->{after} = 'ROLLBACK TO s;';
		}
		$steps[0]{before} = 'BEGIN;' . $steps[0]{before};
		$steps[-1]{after} .= 'ROLLBACK;';
		return @steps } ],
	[ 'SET SESSION AUTHORIZATION', undef, '', sub { map { $_->{before} =~ s/SET ROLE/SET SESSION AUTHORIZATION/; $_ } _in_turn(@_) } ],
	[ 'SECURITY DEFINER', undef, '', sub {
		my ($call) = @_;
		my $by = sub { my ($who) = @_; return qq{SELECT matrix.by_$who(\$call\$$call->{sql}\$call\$)} };
		return (
			step('alice', 'acme', 'acme', acting => 'bob', before => 'SET ROLE bob;', call => $by->('alice')),
			step('bob', 'beta', 'beta', acting => 'alice', before => 'SET ROLE alice;', call => $by->('bob')),
			step('bob', 'beta', 'acme', acting => 'alice', before => 'SET ROLE alice;', call => $by->('bob')),
			step('alice', 'acme', 'beta', acting => 'nobody_role', before => 'SET ROLE nobody_role;', call => $by->('alice'))) } ],
	[ 'prepared plan', undef, 'SET plan_cache_mode = force_generic_plan;', sub {
		my ($call) = @_;
		my @steps = _in_turn(@_);
		$_->{call} = 'EXECUTE p' for @steps;
		$steps[0]{before} .= "PREPARE p AS $call->{sql};";
		$steps[-1]{after} .= 'DEALLOCATE p;';
		return @steps } ],
	[ 'parallel query', undef, q{
		SET force_parallel_mode = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
		SET min_parallel_index_scan_size = 0; SET max_parallel_workers_per_gather = 1; SET parallel_leader_participation = off;}, \&_in_turn ],
	[ 'open cursor', 'dave', '', sub {
		my ($call) = @_;
		return step('dave', 'acme', 'acme', stands => 'revoked meanwhile', before => 'BEGIN;', run => '{call}',
			call => "DECLARE c CURSOR FOR $call->{sql};" . _let_dave('false') . 'FETCH ALL FROM c', after => 'ROLLBACK;' . _let_dave('true')) } ],
	[ 'held cursor', undef, '', sub {
		my ($call) = @_;
		return if $call->{writes};    # it would, for good
		return step('alice', 'acme', 'acme', before => 'SET ROLE alice; BEGIN;', run => '{call}',
			call => "DECLARE c CURSOR WITH HOLD FOR $call->{sql}; COMMIT; SET ROLE bob; FETCH ALL FROM c", after => 'ROLLBACK; RESET ROLE; CLOSE ALL;') } ]);

# Logins by token; %token has one for each tenant, and makes one that expires two seconds later.
sub login_situations
{
	my (%token) = @_;
	return (
		[ 'token of another tenant', 'alice', '', sub {
			map { step('alice', 'beta', $_, before => "BEGIN; SELECT reyearn_login('$token{beta}') AS ignored \\gset\n", run => '{call}', after => 'ROLLBACK;') } qw(beta acme nosuch) } ],
		[ 'token of a role without tenant', 'nobody_role', '', sub {
			map { step('nobody_role', 'acme', $_, before => "BEGIN; SELECT reyearn_login('$token{acme}') AS ignored \\gset\n", run => '{call}', after => 'ROLLBACK;') } qw(acme beta) } ],
		[ 'expired token', 'alice', sub { "BEGIN; SELECT reyearn_login('" . $token{expiring}->() . "') AS ignored \\gset\nSELECT pg_sleep(3) AS ignored \\gset\n" }, sub {
			step('alice', 'acme', 'acme', stands => 'expired', before => 'SAVEPOINT s;', run => '{call}', after => 'ROLLBACK TO s;') } ]);
}

sub _let_dave { my ($is_member) = @_; return "SELECT matrix.let_dave($is_member) AS ignored \\gset\n" }

sub step
{
	my ($role, $own, $asked, %more) = @_;
	return { role => $role, acting => $role, own => $own, asked => $asked, stands => 'own', before => '', run => "BEGIN;\n{call}\nROLLBACK;", after => '', %more };
}

# The same statement by one role after the other, in one session.
sub _in_turn
{
	return (
		step('alice', 'acme', 'acme', before => 'SET ROLE alice;'),
		step('bob', 'beta', 'acme', before => 'SET ROLE bob;'),
		step('bob', 'beta', 'beta', before => 'SET ROLE bob;'),
		step('alice', 'acme', 'beta', before => 'SET ROLE alice;'),
		step('nobody_role', '', 'acme', stands => 'none', before => 'SET ROLE nobody_role;', after => 'RESET SESSION AUTHORIZATION; RESET ROLE;'));
}

# --- Running.

# Has all live versions in shared memory.
sub _load
{
	my ($node, $database) = @_;
	_psql($node, $database, $member{$_}, "SELECT reyearn_predict('one', '${_}secret_model'), reyearn_predict('one', '${_}shared_model')") for @words;
	return;
}

# Runs all calls in the situations. Returns failures, each with object, situation and what was wrong, the number of
# cells, and those of each object.
sub run_matrix
{
	my ($node, $database, @chosen) = @_;
	my $facts = _facts($node, $database);
	my (@failures, %cells);
	for my $situation (@chosen)
	{
		my ($name, $user, $first, $steps) = @$situation;
		$first = $first->() if ref $first;
		my (@cells, @scripts);
		for my $object (@{ $facts->{objects} })
		{
			for my $call (@{ $facts->{calls}{$object} })
			{
				my $script = '';
				for my $step ($steps->($call))
				{
					push @cells, { object => $object, call => $call, step => $step };
					$script .= _script($#cells, $call, $step);
				}
				push @scripts, [ $script, $#cells ];
			}
		}
		my @answers;
		my $started = Time::HiRes::time();
		while (@scripts)
		{
			my ($out, $errors) = _psql($node, $database, $user, join "\n", $first, map { $_->[0] } @scripts);
			my @more = _answers($out, $errors);
			$answers[$_] = $more[$_] for grep { $more[$_] } 0 .. $#more;
			last if $errors !~ /server closed the connection/;
			# What comes after a crash is tried without what led to it.
			my ($last) = $errors =~ /.*^\@\@(\d+)$/ms;
			$answers[$last] = { said => 'the server crashed', all => '' };
			shift @scripts while @scripts && $scripts[0][1] < $last;
			shift @scripts;
			wait_until_up($node);
			_load($node, $database);
		}
		note(sprintf '%-30s %6d cells %5.1f s', "$name, " . ($user // 'superuser'), scalar @cells, Time::HiRes::time() - $started);
		my %missing;
		for my $number (0 .. $#cells)
		{
			my ($object, $call, $step) = @{ $cells[$number] }{qw(object call step)};
			my $answer = $answers[$number] // { said => 'nothing', all => '' };
			my $who = "$step->{role}, asked for what " . ($step->{asked} eq 'nosuch' ? 'nobody' : $step->{asked}) . ' has';
			push @failures, { object => $object, situation => $name, cell => "$name of " . ($user // '') . ", $number", why => "$who, $_\n    $call->{sql}" } for _wrong($facts, $call, $step, $answer);
			$cells{$name}{$object}++;
			next unless $step->{asked} ne $step->{own} && !exists $call->{other};
			# What is asked for comes last by the name of nobody.
			push @{ $missing{"$call $step->{role} $step->{own} $step->{stands}"} }, { %{ $cells[$number] }, cell => "$name of " . ($user // '') . ", $number", who => $who, said => exists $call->{missing} || $step->{stands} eq 'choice' ? _nameless($facts, $step, $answer->{all}) : $answer->{all} };
		}
		for my $alike (grep { $_->[-1]{step}{asked} eq 'nosuch' } values %missing)
		{
			my $nobody = pop @$alike;
			push @failures, { object => $_->{object}, situation => $name, cell => $_->{cell}, why => "$_->{who}, and of what nobody has it says otherwise:\n    $_->{said}\n    $nobody->{said}" }
			  for grep { $_->{said} ne $nobody->{said} } @$alike;
		}
	}
	return { failures => \@failures, cells => \%cells };
}

# What statements say to a role, each in a transaction of its own that is rolled back: answers or errors, and a checksum of
# what others than a tenant have after it.
sub ask_as
{
	my ($node, $database, $user, $own, @statements) = @_;
	my $script = join '', map {
		"BEGIN;\n\\echo \@\@$_\n\\warn \@\@$_\n$statements[$_];\n\\if :ERROR\n\\else\nSELECT '##' || matrix.others('$own');\n\\endif\n\\echo \@\@\n\\warn \@\@\nROLLBACK;\n"
	} 0 .. $#statements;
	return _answers(_psql($node, $database, $user, $script));
}

# Whether something of the tenants' can come out of an object, or go into it.
sub is_over_tenants
{
	my ($object) = @_;
	return ref $objects{$object} && grep { !$_->{is_constant} } @{ $objects{$object} };
}

# Whose rows may be changed in a step, or have been before it.
sub _whose
{
	my ($step) = @_;
	return $step->{changed} // ($step->{stands} eq 'several' ? 'acme beta' : $step->{own});
}

sub _script
{
	my ($number, $call, $step) = @_;
	my $sql = $step->{call} // $call->{sql};
	$sql =~ s/\n\s+/ /g;
	my $own = _whose($step);
	my $sum = $call->{writes} ? "\\if :ERROR\n\\else\nSELECT '##' || matrix.others('$own');\n\\endif\n" : '';
	my ($begin, $end) = split /\n?\{call\}\n?/, $step->{run} . "\n";
	return _at_once($step->{before}, "SELECT set_config('matrix.asked', '$step->{asked}', false), set_config('matrix.own', '$step->{own}', false);", $begin)
	  . "\\echo \@\@$number\n\\warn \@\@$number\n$sql;\n\\set failed :ERROR\n$sum\\echo \@\@\n\\warn \@\@\n"
	  . _at_once($end, $step->{after});
}

# Statements that go to the server in one message, as far as they can.
sub _at_once
{
	my $sql = join ' ', @_;
	return ($sql =~ s/(\\(?:if \S+|else|endif))/\n$1\n/gr) . "\n" if $sql =~ /\\|let_dave|pg_sleep/;
	my @statements = grep { /\S/ } split /;\s*/, $sql;
	return @statements ? join('\\; ', @statements) . ";\n" : '';
}

# Of each cell: what it said, as answer or error; all that it said; and the checksum of what others have.
sub _answers
{
	my ($out, $errors) = @_;
	my @answers;
	while ($out =~ /^\@\@(\d+)\n(.*?)^\@\@$/msg)
	{
		my ($number, $said) = ($1, $2);
		my $sum = $said =~ s/^##(.*)\n//m ? $1 : undef;
		chomp $said;
		$said = substr($said, 0, 1) if $said =~ /^(?:true|false)$/;    # of a function that turns it into text
		$answers[$number] = { said => $said, all => $said, sum => $sum };
	}
	while ($errors =~ /^\@\@(\d+)\n(.*?)^\@\@$/msg)
	{
		my ($number, $error) = ($1, $2);
		next unless $error =~ /^psql:<stdin>:\d+: (?:ERROR|FATAL):  (.*?)(?=^psql:|\z)/ms;    # the first
		my $all = $1;
		my $said = $all =~ s/^LINE \d+:.*\n.*\n//mr;
		$said =~ s/^(?:LOCATION|CONTEXT|QUERY):.*//ms;
		chomp $said;
		$all =~ s/^LOCATION:.*//ms;
		@{ $answers[$number] }{qw(said all)} = ($said, $all);
	}
	return @answers;
}

# What is wrong in a cell.
sub _wrong
{
	my ($facts, $call, $step, $answer) = @_;
	my @wrong;
	my @expected = _expected($facts, $call, $step);
	# Rows may end where the membership ended.
	@expected = ($answer->{said}, @expected) if $step->{stands} eq 'revoked meanwhile' && _is_part($answer->{said}, $expected[0]);
	if (!grep { ref $_ ? $answer->{said} =~ $_ : $answer->{said} eq $_ } @expected)
	{
		push @wrong, "says\n    $answer->{said}\n  and not\n    " . join("\n  or\n    ", @expected);
	}
	my $own = _whose($step);
	push @wrong, 'changes what others have' if defined $answer->{sum} && $answer->{sum} ne $facts->{others}{$own};
	my %may_see = map { ($_ => 1) } split(/ /, $own), $step->{asked};
	if ($call->{sees})
	{
		my $others = $call->{sees} eq 'giver' ? \%shared_from : \%shared_with;
		$may_see{ $others->{$_} // 'acme' } = 1 for split(/ /, $own), $step->{own};
	}
	for my $other (grep { !$may_see{$_} } @words)
	{
		my $text = $answer->{all} =~ s/\b(?:$step->{role}|$step->{acting})\b//gr;
		push @wrong, "tells of $other: $1" if $text =~ $facts->{marks}{$other};
	}
	return @wrong;
}

# Whether rows with their count in front are among those of another answer.
sub _is_part
{
	my ($said, $whole) = @_;
	my ($count, @rows) = split /\n/, $said;
	my %is_there = map { ($_ => 1) } split /\n/, $whole;
	return $count =~ /^\d+$/ && $count == @rows && !grep { !$is_there{$_} } @rows;
}

sub _expected
{
	my ($facts, $call, $step) = @_;
	my ($own, $asked, $stands) = @{$step}{qw(own asked stands)};
	my @kinds = $stands eq 'own' ? (!exists $call->{missing} || $asked eq $own ? 'own' : exists $call->{other} && $asked ne 'nosuch' ? 'other' : 'missing')
	  : $stands eq 'revoked meanwhile' ? qw(own none)
	  : $asked eq 'nosuch' && exists $call->{other} ? ($stands, 'missing')
	  : $stands;
	my @expected;
	while (my $kind = shift @kinds)
	{
		if ($kind eq 'own' && exists $call->{oracle})
		{
			push @expected, $facts->{told}{$call}{ $stands eq 'several' ? 'acme beta' : exists $call->{missing} ? $asked : $own } // 'unknown';
			next;
		}
		my $is = $call->{$kind};
		if (!exists $call->{$kind})
		{
			$is = { none => $no_tenant, several => $several_tenants, choice => $bad_choice, expired => $call->{choice} // $bad_choice }->{$kind};
		}
		for my $one (ref $is eq 'ARRAY' ? @$is : $is)
		{
			if (!ref $one && $one =~ /^(?:own|choice)$/) { push @kinds, $one }
			elsif ($stands eq 'expired' && $one eq $bad_choice) { push @expected, $expired }
			else { push @expected, ref $one ? $one : _fill($facts, $one, $step) }
		}
	}
	return @expected;
}

sub _fill
{
	my ($facts, $text, $step) = @_;
	my %is = (w => $step->{asked}, o => $step->{own}, from => $shared_from{ $step->{own} } // 'acme', role => $step->{role}, acting => $step->{acting});
	my %word = ('' => $step->{asked}, 'o.' => $step->{own}, 'from.' => $is{from});
	$text =~ s/\{(o\.|from\.|)(\w+)\}/$is{$2} && !$1 ? $is{$2} : $facts->{ids}{ $word{$1} }{$2} \/\/ ($kinds{$2} ? 9999999 : "{$2}")/ge;
	return $text;
}

# A text without the name and numbers that were asked for.
sub _nameless
{
	my ($facts, $step, $text) = @_;
	my $word = $step->{asked};
	$text =~ s/\b$word(?=secret|shared|["\/])/{w}/g;
	my %kind = reverse %{ $facts->{ids}{$word} // {} };
	$text =~ s/\b(\d{7})\b/$kind{$1} || $1 == 9999999 ? '{id}' : $1/ge;
	return $text;
}

# What expected answers are made of.
sub _facts
{
	my ($node, $database) = @_;
	my %facts;
	my %volatile = map { ($_ => 1) } split /\n/, $node->safe_psql($database, q{
		SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.provolatile = 'v' AND (p.pronamespace = 'reyearn'::regnamespace OR p.proname ~ '^reyearn_')});
	my %exists = map { ($_ => 1) } objects_of($node, $database);
	$facts{objects} = [ grep { $exists{$_} } sort keys %objects ];
	for my $row (split /\n/, $node->safe_psql($database, 'SELECT word, kind, id FROM matrix.ids'))
	{
		my ($word, $kind, $id) = split /\|/, $row;
		$facts{ids}{$word}{$kind} = $id;
	}
	my @oracles;
	for my $object (@{ $facts{objects} })
	{
		my $calls = $objects{$object};
		$calls = _refusals($node, $database, $object) if $calls eq 'refused';
		$facts{calls}{$object} = $calls;
		for my $call (@$calls)
		{
			$call->{writes} = 1 if $volatile{$object};
			$call->{oracle} = _oracle_of_view($node, $database, $call) if $call->{view};
			next unless exists $call->{oracle};
			for my $names (@words, 'acme beta')
			{
				my $ids = join ', ', map { $facts{ids}{$_}{tenant} } split / /, $names;
				my $word = (split / /, $names)[0];
				push @oracles, [ $call, $names, _fill(\%facts, $call->{oracle} =~ s/\{tenants\}/$ids/gr, { asked => $word, own => $word, role => '', acting => '' }) ];
			}
		}
	}
	my $script = join '', map { my $sql = $oracles[$_][2] =~ s/\s*\n\s*/ /gr; "\\echo \@\@$_\n\\warn \@\@$_\n$sql;\n\\echo \@\@\n\\warn \@\@\n" } 0 .. $#oracles;
	my @told = _answers(_psql($node, $database, undef, $script));
	for my $number (0 .. $#oracles)
	{
		my ($call, $names, $sql) = @{ $oracles[$number] };
		my $told = $told[$number]{said};
		die "$sql: $told" if $told =~ /^\w{5}: /;
		die "of nothing nothing can be seen: $sql" if $told =~ /^0?$/;
		$facts{told}{$call}{$names} = $told;
	}
	$facts{others}{$_} = $node->safe_psql($database, "SELECT matrix.others('$_')") for @words, 'acme beta', '';

	$facts{marks} = marks_of($node, $database);
	return \%facts;
}

# What gives a tenant away: its words, its members, and numbers of what it has.
sub marks_of
{
	my ($node, $database) = @_;
	my %marks;
	my $numbers = $node->safe_psql($database, q{
		SELECT string_agg(format('SELECT tenant_id, %I FROM reyearn.%I', a.attname, c.relname), ' UNION ')
		  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname ~ '_id$' AND a.attname <> 'to_tenant_id'
		   AND a.atttypid IN ('int4'::regtype, 'int8'::regtype) AND a.attnum > 0
		 WHERE c.relnamespace = 'reyearn'::regnamespace AND c.relkind = 'r'
		   AND EXISTS (SELECT FROM pg_attribute AS t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id')});
	for my $word (@words)
	{
		my @numbers = split /\n/, $node->safe_psql($database, "SELECT tenant_id FROM ($numbers) AS n (of, tenant_id) WHERE of = (SELECT id FROM matrix.ids WHERE (word, kind) = ('$word', 'tenant')) AND tenant_id > 1000");
		my $numbers = join '|', @numbers;
		$marks{$word} = qr/\b(${word}secret\w*|${word}shared\w*|$member{$word}|(?<![.\d])(?:$numbers))\b/;
	}
	return \%marks;
}

# The definition of a view, over the rows of some tenants.
sub _oracle_of_view
{
	my ($node, $database, $call) = @_;
	my $definition = $node->safe_psql($database, "SELECT pg_get_viewdef('reyearn.$call->{view}'::regclass)");
	$definition =~ s/;\s*$//;
	$definition =~ s/\w+\.tenant_id = reyearn\.current_tenant\(\)/true/g;
	$definition =~ s/\breyearn\.(\w+) (\w+)/(SELECT * FROM reyearn.$1 WHERE tenant_id IN ({tenants})) AS $2/g;
	return 'SELECT ' . sprintf($rows, $call->{row}, $call->{row}) . " FROM ($definition) AS t";
}

# How an object is called that is refused to all.
sub _refusals
{
	my ($node, $database, $object) = @_;
	if ($object =~ /^(.*?)(\w+)\((.*)\)$/)
	{
		my ($schema, $name, $types) = ($1, $2, $3);
		my %argument = (text => "'x'", name => "'x'", boolean => 'true', jsonb => "'{}'", regrole => "'alice'::regrole",
			ltree => "'a'::ltree", 'bigint[]' => "'{1}'::bigint[]", 'text[]' => "'{x}'::text[]",
			regclass => "'matrix.inbox'::regclass", map { ("reyearn.$_" => "NULL::reyearn.$_") } qw(attached_tables catch_ups));
		my $arguments = join ', ', map { $argument{$_} // 1 } split /,/, $types;
		return [ constant("SELECT $schema$name($arguments)", "42501: permission denied for function $name") ];
	}
	my ($name) = $object =~ /(\w+)$/;
	return [ constant("SELECT count(*) FROM $object", "42501: permission denied for table $name") ] if $name !~ /_seq$/;
	my $refused = "42501: permission denied for sequence $name";
	return [ constant("SELECT last_value FROM $object", $refused), constant("SELECT nextval('$object')", $refused), constant("SELECT setval('$object', 1)", $refused) ];
}

1;
