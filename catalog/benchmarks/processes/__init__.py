# Each server and each scratch Redis ends by itself after this time, also where the benchmark was killed.
# It is longer than any experiment takes.
LIMIT_SECONDS = 3 * 3600
