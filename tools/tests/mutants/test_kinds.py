"""Each kind of fault, and the code that has none."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from tools.mutants.mutations import kinds, mutants_of
from tools.mutants.mutations.code_that_runs import nodes_that_run


def changes(kind: str, source: str) -> list[str]:
    """The mutated sources."""
    text = dedent(source).encode()
    return [mutant.apply(text).decode() for mutant in mutants_of("module.py", text) if mutant.kind == kind]


def test_a_comparison_is_turned_round_and_its_limit_moved() -> None:
    assert changes("comparison", "x = a < b") == ["x = (a <= b)", "x = (a >= b)"]


def test_each_comparison_of_a_chain_is_changed() -> None:
    assert changes("comparison", "x = a == b is c") == ["x = (a != b is c)", "x = (a == b is not c)"]


def test_an_integer_is_moved_by_one_in_both_directions() -> None:
    assert changes("constant", "x = 3") == ["x = (2)", "x = 4"]


def test_a_fraction_is_doubled_and_halved() -> None:
    assert changes("constant", "x = 0.5") == ["x = 0.25", "x = 1.0"]


def test_a_word_is_emptied_and_a_sentence_left_alone() -> None:
    assert changes("constant", 'x = "word"') == ["x = ''"]
    assert changes("constant", 'x = "a sentence"') == []


def test_a_sign_is_turned_round() -> None:
    assert changes("sign", "x = -a") == ["x = a"]
    assert changes("sign", "x = a + b") == ["x = (a - b)"]


def test_joined_texts_have_no_sign() -> None:
    assert changes("sign", 'x = a + "text"') == []


@pytest.mark.parametrize(
    ("source", "mutated"),
    [
        ("x = True", "x = False"),
        ("x = a and b", "x = (a or b)"),
        ("x = not a", "x = a"),
        ("x = any(a)", "x = all(a)"),
    ],
)
def test_a_truth_value_is_turned_round(source: str, mutated: str) -> None:
    assert changes("boolean", source) == [mutated]


def test_a_replacement_keeps_its_place_among_other_operators() -> None:
    (mutated,) = changes("boolean", "x = (a or b) + c")

    assert ast.unparse(ast.parse(mutated)) == "x = (a and b) + c"


@pytest.mark.parametrize("source", ["x = a if {} else b", "x = [a for a in b if {}]", "if {}:\n    a()"])
def test_a_condition_always_holds_or_never(source: str) -> None:
    forced = changes("forced condition", source.format("test"))

    assert forced == [source.format("False"), source.format("True")]


def test_the_condition_of_a_loop_only_never_holds() -> None:
    assert changes("forced condition", "while a:\n    b()") == ["while False:\n    b()"]


@pytest.mark.parametrize(
    "statement", ["a()", "a.b = c", "a[b] = c", "a += 1", "raise a", "del a", "return a"]
)
def test_a_statement_is_deleted(statement: str) -> None:
    function = "def f(x):\n    if x:\n        {}\n    return x"

    assert changes("deleted statement", function.format(statement)) == [function.format("pass")]


@pytest.mark.parametrize("function", ["def f():\n    return 1", "def __init__(self):\n    self.a = 1"])
def test_a_statement_stays_without_which_any_test_would_fail(function: str) -> None:
    assert changes("deleted statement", function) == []


def test_the_statements_of_an_inner_function_are_its_own() -> None:
    assert changes("deleted statement", "def f(a):\n    def g():\n        a = 1\n        return a") == []


def test_an_assignment_is_deleted_only_where_the_name_has_a_value_without_it() -> None:
    source = "def f(a):\n    b = 1\n    a = 2\n    c = 3\n    c = 4\n"

    deleted = changes("deleted statement", source)

    assert [line for text in deleted for line in source.splitlines() if line not in text.splitlines()] == [
        "    a = 2",
        "    c = 3",
        "    c = 4",
    ]


def test_a_decorator_is_removed_unless_the_code_cannot_run_without() -> None:
    removed = changes("deleted statement", "@register()\n@property\ndef f(self): ...")

    assert removed == ["@(lambda decorated: decorated)\n@property\ndef f(self): ..."]


def test_two_neighbouring_arguments_are_swapped() -> None:
    assert changes("swapped argument", "f(a, b, c)") == ["f(a, c, b)", "f(b, a, c)"]
    assert changes("swapped argument", "f(a=1, b=2)") == ["f(a=2, b=1)"]


@pytest.mark.parametrize("call", ["f(a, a)", "f(a, *b)", "f(a=1, **b)", "isinstance(a, b)", "max(a, b)"])
def test_arguments_that_cannot_be_swapped_stay(call: str) -> None:
    assert changes("swapped argument", call) == []


def test_an_except_lets_one_of_its_exceptions_through() -> None:
    source = "try:\n    f()\nexcept {}:\n    g()"

    assert changes("narrowed except", source.format("A")) == [source.format("()")]
    assert changes("narrowed except", source.format("(A, B)")) == [
        source.format("(A,)"),
        source.format("(B,)"),
    ]
    assert changes("narrowed except", "suppress(A)") == ["suppress()"]


@pytest.mark.parametrize(
    "source",
    [
        "import a",
        "'''docstring'''",
        "x: Literal['a']",
        "def f(a: 'b') -> 'c': ...",
        "__all__ = ['a']",
        "if TYPE_CHECKING:\n    a = 1",
        "x = Callable['a', 1]",
        "x = f'{1}'",
        "@dataclass(frozen=True)\nclass A: ...",
    ],
)
def test_what_does_nothing_at_run_time_has_no_faults(source: str) -> None:
    assert mutants_of("module.py", source.encode()) == []


def test_a_mutant_runs_where_its_statement_does() -> None:
    source = "f(\n    a,\n    1,\n)\nif (\n    2\n):\n    3 + x\n"

    lines = {
        mutant.before: mutant.lines
        for mutant in mutants_of("m.py", source.encode())
        if mutant.kind == "constant"
    }

    assert lines == {"1": range(1, 5), "2": range(5, 8), "3": range(8, 9)}


def test_letters_of_several_bytes_do_not_move_a_fault() -> None:
    assert changes("constant", 'f("σ") + f(7, "ß")')[-1] == "f(\"σ\") + f(7, '')"


def test_every_mutant_of_a_module_is_python_and_another_program() -> None:
    source = kinds.__loader__.get_source(kinds.__name__).encode()  # type: ignore[union-attr]
    program = ast.dump(ast.parse(source))
    found = mutants_of("kinds.py", source)

    assert len(found) > 100
    assert all(ast.dump(ast.parse(mutant.apply(source))) != program for mutant in found)


def test_a_node_is_visited_once() -> None:
    nodes = [node for node, _ in nodes_that_run(ast.parse("def f(a=1):\n    return a + 1"))]

    assert len(nodes) == len(set(map(id, nodes)))
