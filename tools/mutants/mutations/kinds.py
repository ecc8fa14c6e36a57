"""The kinds of faults: for a node of the syntax tree, the node to replace and its replacement."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

Change = tuple[ast.expr | ast.stmt, str]
Node = TypeVar("Node", bound=ast.AST)

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
DELETABLE = (ast.AugAssign, ast.Break, ast.Continue, ast.Delete, ast.Expr, ast.Raise)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
QUANTIFIERS = {"any": "all", "all": "any"}
# Without one of these the code around them cannot run at all.
INDISPENSABLE_DECORATORS = {
    "abstractmethod",
    "cached_property",
    "classmethod",
    "contextmanager",
    "dataclass",
    "final",
    "overload",
    "override",
    "property",
    "setter",
    "staticmethod",
}
# With their arguments swapped these raise TypeError at once, or return the same.
NOT_SWAPPED = {"isinstance", "issubclass", "max", "min"}


def comparison(node: ast.AST) -> Iterator[Change]:
    """The opposite comparison, and the limit moved to the other side: ``<`` becomes ``>=`` and ``<=``."""
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                operators: list[ast.cmpop] = [*node.ops[:index], other(), *node.ops[index + 1 :]]
                yield node, _text(_changed(node, ops=operators))


def constant(node: ast.AST) -> Iterator[Change]:
    """An integer one more or one less, a fraction doubled or halved, a word emptied.

    A string with a blank in it is a sentence for people, or SQL; it is left alone.
    """
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        return
    value = node.value
    if isinstance(value, int):
        yield node, str(value + 1)
        yield node, f"({value - 1})"
    elif isinstance(value, float):
        yield node, repr(value * 2 or 1.0)
        yield node, repr(value / 2 or -1.0)
    elif isinstance(value, str | bytes) and value.split() == [value]:
        yield node, repr(type(value)())


def sign(node: ast.AST) -> Iterator[Change]:
    """A sign turned round."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node, _text(node.operand)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub) and not _joins(node):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield node, _text(_changed(node, op=other))


def boolean(node: ast.AST) -> Iterator[Change]:
    """``True`` for ``False``, ``and`` for ``or``, ``any`` for ``all``, and the reverse; a ``not`` dropped."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield node, repr(not node.value)
    elif isinstance(node, ast.BoolOp):
        yield node, _text(_changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And()))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node, _text(node.operand)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in QUANTIFIERS:
        yield node.func, QUANTIFIERS[node.func.id]


def forced_condition(node: ast.AST) -> Iterator[Change]:
    """A condition that always holds, or never. A loop's never holds: otherwise it might not end."""
    if isinstance(node, ast.If | ast.IfExp):
        conditions = [node.test]
    elif isinstance(node, ast.comprehension):
        conditions = node.ifs
    elif isinstance(node, ast.match_case) and node.guard is not None:
        conditions = [node.guard]
    elif isinstance(node, ast.While):
        yield node.test, "False"
        return
    else:
        return
    for condition in conditions:
        yield condition, "True"
        yield condition, "False"


def deleted_statement(node: ast.AST) -> Iterator[Change]:
    """A statement or a decorator removed, unless the first test that comes by would fail without it."""
    if isinstance(node, DELETABLE):
        yield node, "pass"
    if isinstance(node, FUNCTIONS):
        yield from ((statement, "pass") for statement in _dispensable(node))
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        for decorator in node.decorator_list:
            if _name(decorator) not in INDISPENSABLE_DECORATORS:
                yield decorator, "(lambda decorated: decorated)"


def swapped_argument(node: ast.AST) -> Iterator[Change]:
    """Two neighbouring arguments, positional or by keyword, that have each other's values."""
    if not isinstance(node, ast.Call) or _name(node) in NOT_SWAPPED:
        return
    for index, (first, second) in enumerate(zip(node.args, node.args[1:], strict=False)):
        starred = isinstance(first, ast.Starred) or isinstance(second, ast.Starred)
        if not starred and _differ(first, second):
            arguments = [*node.args[:index], second, first, *node.args[index + 2 :]]
            yield node, _text(_changed(node, args=arguments))
    for index, (one, other) in enumerate(zip(node.keywords, node.keywords[1:], strict=False)):
        if one.arg and other.arg and _differ(one.value, other.value):
            swapped = [ast.keyword(one.arg, other.value), ast.keyword(other.arg, one.value)]
            keywords = [*node.keywords[:index], *swapped, *node.keywords[index + 2 :]]
            yield node, _text(_changed(node, keywords=keywords))


def narrowed_except(node: ast.AST) -> Iterator[Change]:
    """An ``except``, or a ``suppress``, that lets one of its exceptions through."""
    if isinstance(node, ast.ExceptHandler) and node.type is not None:
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        for index in range(len(caught)):
            kept = caught[:index] + caught[index + 1 :]
            yield node.type, _text(ast.Tuple(kept, ast.Load()))
    elif isinstance(node, ast.Call) and _name(node) == "suppress":
        for index in range(len(node.args)):
            yield node, _text(_changed(node, args=node.args[:index] + node.args[index + 1 :]))


ALL: dict[str, Callable[[ast.AST], Iterator[Change]]] = {
    "comparison": comparison,
    "constant": constant,
    "sign": sign,
    "boolean": boolean,
    "forced condition": forced_condition,
    "deleted statement": deleted_statement,
    "swapped argument": swapped_argument,
    "narrowed except": narrowed_except,
}


def _dispensable(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.stmt]:
    """The early returns, and the assignments to what has a value without them."""
    own = list(_own_statements(function))
    arguments = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
    assigned = Counter(name for statement in own for name in _assigned_names(statement))
    for statement in own:
        names = _assigned_names(statement)
        if isinstance(statement, ast.Return):
            is_dispensable = statement is not function.body[-1]
        elif names:
            is_dispensable = all(name in arguments or assigned[name] > 1 for name in names)
        else:
            is_dispensable = isinstance(statement, ast.Assign) and function.name != "__init__"
        if is_dispensable:
            yield statement


def _own_statements(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements of a function, without those of the functions and classes inside."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _own_statements(child)


def _assigned_names(statement: ast.stmt) -> list[str]:
    """The names, not the attributes and items, that an assignment binds."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    nodes = (node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
    return [node.id for node in nodes if isinstance(node.ctx, ast.Store)]


def _joins(node: ast.BinOp) -> bool:
    """Whether it joins texts or lists, which cannot be subtracted."""
    return any(
        isinstance(side, ast.JoinedStr | ast.List | ast.Tuple | ast.ListComp)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str | bytes))
        for side in (node.left, node.right)
    )


def _name(node: ast.expr) -> str:
    """``name`` of ``name``, ``module.name``, ``name(…)`` and ``module.name(…)``."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _differ(one: ast.expr, other: ast.expr) -> bool:
    return ast.dump(one) != ast.dump(other)


def _changed(node: Node, **fields: object) -> Node:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _text(node: ast.expr) -> str:
    """The source of an expression, in parentheses, so that it fits wherever the other stood."""
    text = ast.unparse(node)
    return text if isinstance(node, ast.Name | ast.Call | ast.Tuple | ast.Constant) else f"({text})"
