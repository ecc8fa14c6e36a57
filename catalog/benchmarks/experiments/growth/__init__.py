"""How times and memory grow with the catalogue and with the cache.

- ``products``: hits, misses and writes in catalogues of several sizes, in a scratch database
  (``databases``) that a process of its own fills and measures (``work``);
- ``keys``: invalidation and memory with several numbers of keys in Redis, which are copies of what a
  strategy stores for a page (``copies``), on a scratch server where there is one (``redis_servers``);
- ``fits``: the slope of either on log-log axes.
"""
