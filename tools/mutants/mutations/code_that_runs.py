"""The nodes of a syntax tree that do something when the program runs.

Annotations, docstrings, imports and whatever only a type checker or a reader of the source sees have
no fault that a test could notice.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

# Calls and subscripts whose arguments are types, names for messages, or guards for developers.
WITHOUT_EFFECT = {"Annotated", "Callable", "Literal", "TypeVar", "dataclass", "getLogger"}


def nodes_that_run(tree: ast.Module) -> Iterator[tuple[ast.AST, range]]:
    """Each node, with the lines of its statement or, where others are inside, of its head."""
    for statement in tree.body:
        yield from _visit(statement, range(0))


def _visit(node: ast.AST, lines: range) -> Iterator[tuple[ast.AST, range]]:
    if _has_no_effect(node):
        return
    if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
        lines = lines_of(node)
    yield node, lines
    for child in _children(node):
        yield from _visit(child, lines)


def _has_no_effect(node: ast.AST) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Assert() | ast.JoinedStr():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__" | "__slots__")]):
            return True
        case ast.Call(func=called) | ast.Subscript(value=called):
            return _last_name(called) in WITHOUT_EFFECT
    return False


def _children(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.AnnAssign(value=value):
            yield from () if value is None else (value,)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            defaults = [*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)]
            yield from (*node.decorator_list, *defaults, *node.body)
        case ast.Call(func=called, args=[_, value]) if _last_name(called) == "cast":
            yield value
        case ast.Call(func=called) if _last_name(called) == "zip":
            # strict=True is a guard for developers: it has no effect on lists of the same length.
            yield from node.args
        case _:
            yield from ast.iter_child_nodes(node)


def lines_of(node: ast.stmt | ast.ExceptHandler | ast.match_case) -> range:
    """The lines of a statement or, where others are inside, of its head."""
    if isinstance(node, ast.match_case):
        return range(node.pattern.lineno, (node.pattern.end_lineno or node.pattern.lineno) + 1)
    first, last = node.lineno, node.end_lineno or node.lineno
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        first = min([first, *(decorator.lineno for decorator in node.decorator_list)])
    body = getattr(node, "body", None)
    if body:
        last = max(node.lineno, _first_line(body[0]) - 1)
    return range(first, last + 1)


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
