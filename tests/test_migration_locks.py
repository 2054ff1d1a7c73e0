"""No migration keeps the writers of a large database waiting, or breaks web processes of the version before."""

from collections.abc import Iterator

import pytest
from django.db import NotSupportedError, connection, connections, migrations, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState

from benchmarks.concurrent_indexes import BuildIndex
from tests.migration_locks import REQUIRED, SMALL, harms

# Landed before the rule was; every later migration is held to it. One that must harm says so beside its operations:
# `harms_because = {"checks every row under a lock": "the reason"}`.
BEFORE_THE_RULE = {"benchmarks": "0022", "labeling": "0014", "router": "0025", "greenllm": "0002"}


@pytest.fixture
def outside(db: None) -> Iterator[BaseDatabaseWrapper]:
    """Give a connection of its own to the database of the tests, in no transaction."""
    own = connections["default"].copy()
    own.settings_dict["OPTIONS"].pop("pool", None)
    yield own
    own.close()


def later_migrations(database: BaseDatabaseWrapper) -> Iterator[tuple[migrations.Migration, list[str]]]:
    """Give each migration that is held to the rule, and its SQL."""
    loader = MigrationLoader(None)
    state = ProjectState(real_apps=loader.unmigrated_apps)
    for key in _plan(loader):
        migration = loader.graph.nodes[key]
        if key[0] not in BEFORE_THE_RULE or key[1][:4] <= BEFORE_THE_RULE[key[0]]:
            state.__dict__.pop("apps", None)  # models that are made would be made anew at each change
            state = migration.mutate_state(state, preserve=False)
            continue
        with database.schema_editor(collect_sql=True, atomic=False) as editor:
            state = migration.apply(state, editor, collect_sql=True)
        yield migration, editor.collected_sql


def _plan(loader: MigrationLoader) -> list[tuple[str, str]]:
    plan: dict[tuple[str, str], None] = {}
    for leaf in sorted(loader.graph.leaf_nodes()):
        plan.update(dict.fromkeys(loader.graph.forwards_plan(leaf)))
    return list(plan)


class TestLaterMigrations:
    def test_harm_nobody_but_for_a_reason(self, outside: BaseDatabaseWrapper) -> None:
        checked = []
        for migration, statements in later_migrations(outside):
            reasons = getattr(migration, "harms_because", {})
            checked.append(migration.name)
            assert harms(statements) == set(reasons), f"{migration}: {statements}"
            assert all(len(reason.split()) > 3 for reason in reasons.values()), migration
        assert "0023_index_for_quality" in checked

    @pytest.mark.django_db
    def test_small_tables_are_tables(self) -> None:
        assert set(connection.introspection.table_names()) >= SMALL


class TestHarms:
    @pytest.mark.parametrize(
        ("harm", "statement"),
        [
            ("builds an index under a lock", 'CREATE INDEX "a" ON "labeling_label" ("b")'),
            ("builds an index under a lock", "CREATE INDEX IF NOT EXISTS a ON labeling_label USING btree (b)"),
            ("builds an index under a lock", 'CREATE UNIQUE INDEX "a" ON "labeling_label" ("b") WHERE "c"'),
            ("checks every row under a lock", 'ALTER TABLE "labeling_label" ADD CONSTRAINT "a" CHECK ("b" > 0)'),
            ("checks every row under a lock", 'ALTER TABLE "labeling_label" ADD CONSTRAINT "a" UNIQUE ("b")'),
            ("checks every row under a lock", 'ALTER TABLE "labeling_label" ALTER COLUMN "a" SET NOT NULL'),
            ("writes every row anew under a lock", 'ALTER TABLE "labeling_label" ALTER COLUMN "a" TYPE bigint'),
            ("writes every row anew under a lock", "ALTER TABLE a ADD COLUMN b uuid DEFAULT gen_random_uuid()"),
            ("changes rows in one transaction", "UPDATE labeling_label SET verdict = ''"),
            ("changes rows in one transaction", "\n  DELETE FROM labeling_label"),
            ("drops an index under a lock", 'DROP INDEX IF EXISTS "a"'),
            ("takes away what the version before uses", 'ALTER TABLE "benchmarks_machine" DROP COLUMN "a" CASCADE'),
            ("takes away what the version before uses", 'ALTER TABLE "a" RENAME COLUMN "b" TO "c"'),
            ("takes away what the version before uses", 'DROP TABLE "a" CASCADE'),
            ("runs Python over rows", "-- THIS OPERATION CANNOT BE WRITTEN AS SQL"),
            (REQUIRED, 'ALTER TABLE "benchmarks_machine" ADD COLUMN "a" integer NOT NULL'),
        ],
    )
    def test_are_told_of_a_large_table(self, harm: str, statement: str) -> None:
        assert harms([statement]) == {harm}

    @pytest.mark.parametrize(
        "statement",
        [
            'CREATE INDEX CONCURRENTLY "a" ON "labeling_label" ("b")',
            'DROP INDEX CONCURRENTLY IF EXISTS "a"',
            'CREATE INDEX "a" ON "benchmarks_machine" ("b")',
            'ALTER TABLE "labeling_label" ADD CONSTRAINT "a" CHECK ("b" > 0) NOT VALID',
            'ALTER TABLE "labeling_label" ADD CONSTRAINT "a" UNIQUE USING INDEX "b"',
            'ALTER TABLE "labeling_label" VALIDATE CONSTRAINT "a"',
            'ALTER TABLE "labeling_label" ADD COLUMN "a" integer NULL',
            'ALTER TABLE "labeling_label" ADD COLUMN "a" integer DEFAULT 0 NOT NULL',
        ],
    )
    def test_are_none_without_a_lock(self, statement: str) -> None:
        assert harms([statement]) == set()

    def test_are_none_to_a_new_table(self) -> None:
        made = 'CREATE TABLE "a" ("id" bigint NOT NULL PRIMARY KEY)'
        assert (
            harms([made, 'CREATE INDEX "b" ON "a" ("id")', 'ALTER TABLE "a" ADD CONSTRAINT "c" CHECK (true)']) == set()
        )

    def test_are_told_of_a_default_that_goes_again(self) -> None:
        added = 'ALTER TABLE "labeling_label" ADD COLUMN "a" integer DEFAULT 0 NOT NULL'
        assert harms([added, 'ALTER TABLE "labeling_label" ALTER COLUMN "a" DROP DEFAULT']) == {REQUIRED}


@pytest.mark.django_db(transaction=True)
class TestBuildIndex:
    NAME = "built_while_others_write"

    @pytest.fixture
    def table(self) -> Iterator[None]:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE benchmarks_indexed (id bigint)")
            yield
            cursor.execute("DROP TABLE benchmarks_indexed")

    def build(self, *, atomic: bool = False) -> None:
        state = ProjectState()
        state.add_model(ModelState("benchmarks", "indexed", [("id", models.BigIntegerField(primary_key=True))]))
        operation = BuildIndex("indexed", models.Index(fields=["id"], name=self.NAME))
        after = state.clone()
        operation.state_forwards("benchmarks", after)
        with connection.schema_editor(atomic=atomic) as editor:
            operation.database_forwards("benchmarks", editor, state, after)

    def is_valid(self) -> list[tuple[bool]]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [self.NAME])
            return list(cursor.fetchall())

    def test_may_be_done_again(self, table: None) -> None:
        self.build()
        self.build()
        assert self.is_valid() == [(True,)]

    def test_makes_an_index_that_was_cut_short_anew(self, table: None) -> None:
        self.build()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(%s)", [self.NAME])

        self.build()

        assert self.is_valid() == [(True,)]

    def test_needs_a_migration_that_is_not_atomic(self, table: None) -> None:
        with pytest.raises(NotSupportedError):
            self.build(atomic=True)
