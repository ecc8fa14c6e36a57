"""Finds which tables a statement names, and whether it only reads.

A table too many, or a read taken for a write, costs a miss. A missed table would leave stale entries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from django.apps import apps
from django.db.models import Model, deletion

# Longer statements are mostly bulk inserts, each of another length, which would fill the cache.
LONGEST_REMEMBERED = 4_000
# Comments are removed at the start and the end only: inside a statement, they may be part of a literal.
LEADING_COMMENTS = re.compile(r"\A(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+", re.DOTALL)
TRAILING_COMMENT = re.compile(r"/\*[^*]*\*/\s*\Z")
PLAIN_READ = re.compile(
    r"[\s(]*(?:SELECT|VALUES|TABLE|SHOW|PRAGMA|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|START|COMMIT|END|SET|FETCH|DECLARE"
    r"|WITH|EXPLAIN)\b",
    re.IGNORECASE,
)
# A statement that begins like a read may still write if it has one of these words.
WRITING_WORD = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|REPLACE(?!\s*\()|TRUNCATE|INTO)\b", re.IGNORECASE)
LOCKING_CLAUSE = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
# Code that runs in the database may write any table, and may make up its name. The second half of a
# two-phase commit takes effect for what another session has written.
ANY_TABLE = re.compile(r"\s*(?:(?:CALL|DO|EXECUTE)\b|COMMIT\s+PREPARED\b|XA\s+COMMIT\b)", re.IGNORECASE)
# Reaches tables that the statement does not name.
CASCADE = re.compile(r"\bCASCADE\b", re.IGNORECASE)
# The name of a schema may stand before the name of a table: "library"."book".
QUOTES = '"`[]'
SCHEMA = re.compile(r".*\.(?=.)", re.DOTALL)
CONTROL = re.compile(
    r"\s*(BEGIN|START|COMMIT(?!\s+PREPARED\b)|END|SAVEPOINT|RELEASE"
    r"|ROLLBACK(?!\s+PREPARED\b|\s+(?:WORK\s+|TRANSACTION\s+)?TO\b))\b",
    re.IGNORECASE,
)
VIEW = re.compile(r"\b(?:CREATE|ALTER|DROP|RENAME)\b[^(;]*\bVIEW\b", re.IGNORECASE)
# Among several statements in one text.
COMMITTING_WORD = re.compile(r"\b(?:COMMIT|END|RELEASE)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """``tables`` are the known tables that the statement names or cascades to, as Django spells them.

    ``control`` is "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT" or "RELEASE" if the statement controls a
    transaction, "SCRIPT" for several statements of which one may commit, otherwise "".
    """

    tables: frozenset[str]
    only_reads: bool
    control: str = ""
    defines_view: bool = False


def bare_name(table: str) -> str:
    """In lower case, without schema and quotes."""
    return SCHEMA.sub("", table).strip(QUOTES).lower()


class Vocabulary:
    """The tables that can be found in statements: those of models, and those that are declared anywhere.

    ``models`` is the list of all models, which Django makes anew when one is added.
    """

    def __init__(self, models: Iterable[type[Model]], declared: frozenset[str]) -> None:
        self.models = models
        self.declared = declared
        self._by_name: dict[str, set[str]] = {}
        for table in {*declared, *(model._meta.db_table for model in models)}:
            self._by_name.setdefault(bare_name(table), set()).add(table)

    @cached_property
    def every_table(self) -> frozenset[str]:
        return frozenset().union(*self._by_name.values())

    def tables_named(self, sql: str) -> set[str]:
        # Some letters match regardless of case although their lower cases differ: any table may be meant.
        found = (self._by_name.get(name.lower(), self.every_table) for name in self._pattern.findall(sql))
        return set().union(*found)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Finds bare names."""
        names = "|".join(re.escape(name) for name in sorted(self._by_name, key=len, reverse=True))
        return re.compile(rf"(?<!\w)(?:{names})(?!\w)", re.IGNORECASE)

    @cached_property
    def cascades(self) -> dict[str, frozenset[str]]:
        """For each table, the tables that the database itself changes when one of its rows is deleted."""
        by_database = getattr(deletion, "DatabaseOnDelete", None)  # from Django 6.1
        direct: dict[str, set[str]] = {table: set() for table in self.every_table}
        for model in self.models if by_database else ():
            for field in model._meta.concrete_fields:
                on_delete = getattr(field.remote_field, "on_delete", None)
                if by_database and isinstance(on_delete, by_database) and field.related_model:
                    direct[field.related_model._meta.db_table].add(model._meta.db_table)
        return {table: closure(table, direct) for table in direct}


_latest = [Vocabulary((), frozenset())]


def vocabulary(declared: frozenset[str] = frozenset()) -> Vocabulary:
    """Made anew where a model was defined or a declaration was learned since."""
    # Including those that Django makes. It remembers the answer to a positional argument faster.
    models = apps.get_models(True)
    latest = _latest[0]
    if latest.models is not models or latest.declared is not declared:
        latest = _latest[0] = Vocabulary(models, declared)
    return latest


def classify(sql: str, declared: frozenset[str] = frozenset()) -> Statement:
    """Classify a statement. Results are cached, because Django repeats the same texts.

    ``declared`` are the tags of all processes, which need not be tables of models of this one.
    """
    known = vocabulary(declared)
    return _classify_once(sql, known) if len(sql) <= LONGEST_REMEMBERED else _classify(sql, known)


def closure(table: str, direct: dict[str, set[str]]) -> frozenset[str]:
    """What can be reached from the table."""
    reached, waiting = set[str](), [table]
    while waiting:
        for next_table in direct.get(waiting.pop(), ()):
            if next_table not in reached:
                reached.add(next_table)
                waiting.append(next_table)
    return frozenset(reached)


def _classify(sql: str, known: Vocabulary) -> Statement:
    text = TRAILING_COMMENT.sub("", LEADING_COMMENTS.sub("", sql))
    only_reads = _only_reads(text)
    # Includes the comments: a table too many is safe.
    named = known.tables_named(sql)
    if not only_reads:
        named = named.union(*(known.cascades[table] for table in named))
        if CASCADE.search(text) or ANY_TABLE.match(text):
            named |= known.every_table
    defines_view = not only_reads and VIEW.search(text) is not None
    return Statement(frozenset(named), only_reads, _control(text), defines_view)


def _control(text: str) -> str:
    if _are_several(text) and COMMITTING_WORD.search(text):
        return SCRIPT
    word = CONTROL.match(text)
    return CONTROL_WORDS[word[1][:5].upper()] if word else ""


def _are_several(text: str) -> bool:
    return ";" in text.rstrip().rstrip(";")


def _only_reads(text: str) -> bool:
    if not PLAIN_READ.match(text) or ANY_TABLE.match(text):
        return False
    return not (WRITING_WORD.search(LOCKING_CLAUSE.sub(" ", text)) or _are_several(text))


SCRIPT = "SCRIPT"
CONTROL_WORDS = {
    "BEGIN": "BEGIN",
    "START": "BEGIN",
    "COMMI": "COMMIT",
    "END": "COMMIT",
    "ROLLB": "ROLLBACK",
    "SAVEP": "SAVEPOINT",
    "RELEA": "RELEASE",
}
_classify_once = lru_cache(maxsize=2048)(_classify)
