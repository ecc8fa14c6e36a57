"""The names of the built-in strategies and of the floors in figures, charts, gates and verdicts."""

UNCACHED = "uncached"
TEXTBOOK = "textbook"
# Also the alias of its cache.
BUILTIN = "builtin"
READ_CACHE = "readcache"
FLOOR = "floor"
FLOOR_WITH_GET = "floor-get"

STRATEGIES = (UNCACHED, TEXTBOOK, BUILTIN, READ_CACHE)
FLOORS = (FLOOR, FLOOR_WITH_GET)
