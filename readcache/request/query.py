"""The query that a view sees during a fill. It records the parameters that are not part of the key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

from django.http import QueryDict

EVERY_PARAMETER = "every parameter"


class CanonicalQuery(QueryDict):
    """The parameters of the key. Any other parameter has the value of the request, so that the response is
    right. It is added to ``unknown`` when it is read, whether it was given or not, because a response that
    depends on it must not be stored.
    """

    unknown: set[str]
    given: QueryDict
    # While the query is parsed, no reads are recorded.
    _is_known: Callable[[str], bool] = staticmethod(lambda name: True)

    @classmethod
    def made(cls, query: str, given: QueryDict, is_known: Callable[[str], bool]) -> Self:
        made = cls(query, encoding="utf-8")
        made.unknown, made.given, made._is_known = set(), given, is_known
        return made

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if self._knows(key) else self.given[key]

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key, default) if self._knows(key) else self.given.get(key, default)

    def getlist(self, key: Any, default: Any = None) -> Any:
        return super().getlist(key, default) if self._knows(key) else self.given.getlist(key, default)

    def __contains__(self, key: Any) -> bool:
        return super().__contains__(key) if self._knows(key) else key in self.given

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all())

    def keys(self) -> Any:
        return self._all().keys()

    def items(self) -> Any:
        return self._all().items()

    def values(self) -> Any:
        return self._all().values()

    def lists(self) -> Any:
        return self._all().lists()

    def dict(self) -> Any:
        return self._all().dict()

    def urlencode(self, safe: Any = None) -> str:
        return self._all().urlencode(safe)

    def __copy__(self) -> Self:
        # A filterset copies the query to add defaults, which reads no parameter.
        copied = type(self).made("", self.given, self._is_known)
        copied.unknown, copied._mutable = self.unknown, True
        for key, values in super().lists():
            copied.setlist(key, list(values))
        return copied

    def __deepcopy__(self, memo: Any) -> Self:
        return self.__copy__()

    def _knows(self, key: Any) -> bool:
        # A copy also knows the parameters that were added to it.
        if self._is_known(str(key)) or super().__contains__(key):
            return True
        self.unknown.add(str(key))
        return False

    def _all(self) -> QueryDict:
        self.unknown.add(EVERY_PARAMETER)
        return self.given
