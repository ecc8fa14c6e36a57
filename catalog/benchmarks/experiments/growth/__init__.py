"""How times and memory grow with the catalogue and with the cache.

- ``products``: hits, misses and writes in catalogues of several sizes. Each is in a scratch database
  (``databases``), which a child process fills and measures (``turns``).
- ``keys``: invalidation and memory with several numbers of keys in Redis. They are copies of what a
  strategy stores for a page (``copies``), on a scratch server if possible (``redis_servers``).
- ``fits``: the slopes of both on log-log axes.
"""
