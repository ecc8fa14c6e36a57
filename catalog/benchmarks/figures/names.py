"""The names by which figures, charts, gates and verdicts refer to the laboratory's own strategies."""

UNCACHED = "uncached"
TEXTBOOK = "textbook"
# Also the alias of its cache.
BUILTIN = "builtin"
READ_CACHE = "readcache"
FLOOR = "floor"
FLOOR_WITH_GET = "floor-get"

STRATEGIES = (UNCACHED, TEXTBOOK, BUILTIN, READ_CACHE)
FLOORS = (FLOOR, FLOOR_WITH_GET)
