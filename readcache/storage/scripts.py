"""Guard, begin-fill and rotate: the steps of the protocol that nothing may interrupt, as scripts of Redis.

A tag has two keys: its *token*, and its *marks*, a sorted set without an expiry, so that no policy
of eviction that spares keys without one takes it. A member of the marks is

- ``m:<name>``, a mark, whose score is its deadline in milliseconds of Redis' clock: until then,
  somebody may commit a write and never rotate;
- ``h:<replication id>``, the member for the current history, whose score is infinite. Where it is
  missing, marks may have been lost (a restart from a snapshot, a promotion, an eviction), and
  begin-fill makes up for them.

A token is immortal only if the member for the current history is there and no mark stands; otherwise
it lives one lease.

The *registry* is one sorted set: each tag that some process has declared, with the time of its first
declaration in milliseconds of Redis' clock. Begin-fill makes no token for a tag that was declared a moment
ago, because a process that writes may not have seen the declaration. A first declaration forgets the
tag's token and marks, so that the next begin-fill leaves a mark.

A script that has written something may go on writing where Redis is out of memory. Each script
therefore removes expired marks first.
"""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple

# Replaces the lock after a response that cannot be stored, so that no request waits for an entry in vain.
HIT_FOR_MISS = b"-"
LONGEST_HIT_FOR_MISS_SECONDS = 60.0


class Script(NamedTuple):
    """``sha`` is the name by which EVALSHA knows the text."""

    text: str
    sha: str


def _script(body: str) -> Script:
    text = _PRELUDE + body
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


_PRELUDE = """\
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Removes the marks whose deadline is past, or whatever else is under the key.
local function clean(marks)
  if type(redis.pcall('ZREMRANGEBYSCORE', marks, '-inf', '(' .. now)) == 'table' then
    redis.call('DEL', marks)
  end
end

local function history()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or 'none'
end

local function is_unmarked(marks, current)
  return redis.call('ZSCORE', marks, 'h:' .. current) and redis.call('ZCARD', marks) == 1
end

-- Since when the tag is declared. Anew where Redis' clock was set back since.
local function declare(registry, tag, token, marks)
  if type(redis.pcall('ZCARD', registry)) == 'table' then redis.call('DEL', registry) end
  local since = tonumber(redis.call('ZSCORE', registry, tag))
  if not since or since > now then
    redis.call('ZADD', registry, now, tag)
    redis.call('DEL', token, marks)
    since = now
  end
  return since
end
"""

# KEYS: a token and its marks, for each tag. ARGV: lease and life of a mark in milliseconds, the mark.
# A guard only ever shortens a token's life: one that is dying already must not be kept alive by guards.
GUARD = _script("""
for i = 1, #KEYS, 2 do
  clean(KEYS[i + 1])
  local left = redis.call('PTTL', KEYS[i])
  if left == -1 or left > tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
  redis.call('ZADD', KEYS[i + 1], now + ARGV[2], 'm:' .. ARGV[3])
end
return 1
""")

# KEYS: a token and its marks, for each tag. ARGV: lease in milliseconds, the number of tags, a token
# for each, and the marks that end.
ROTATE = _script("""
local current = history()
for i = 1, #KEYS, 2 do
  clean(KEYS[i + 1])
  for j = 3 + ARGV[2], #ARGV do redis.call('ZREM', KEYS[i + 1], 'm:' .. ARGV[j]) end
  local token = ARGV[2 + (i + 1) / 2]
  if is_unmarked(KEYS[i + 1], current) then
    redis.call('SET', KEYS[i], token)
  else
    redis.call('SET', KEYS[i], token, 'PX', ARGV[1])
  end
end
return 1
""")

# KEYS: marks of each tag. ARGV: the marks that end, of a transaction that was rolled back for certain.
UNMARK = _script("""
for i = 1, #KEYS do
  clean(KEYS[i])
  for j = 1, #ARGV do redis.call('ZREM', KEYS[i], 'm:' .. ARGV[j]) end
end
return 1
""")

# KEYS: the registry, then a token and its marks for each tag. ARGV: the tags.
DECLARE = _script("""
for i = 1, #ARGV do declare(KEYS[1], ARGV[i], KEYS[2 * i], KEYS[2 * i + 1]) end
return 1
""")

# KEYS: entry, lock, registry, then a token and its marks for each tag. ARGV: lease and life of a mark, in
# milliseconds, the lock's value and its life, the name of a mark, how long a tag must have been declared,
# then a token for each tag, then the tags.
# Returns the replication id, whether each tag was declared so long ago, and the values of the entry, the
# tokens and the lock.
BEGIN_FILL = _script(
    """
local lock = redis.call('SET', KEYS[2], ARGV[3], 'NX', 'PX', ARGV[4])
if not lock then
  -- A value of another type is nobody's lock. And a lock or hit-for-miss never lives longer than it was
  -- given: Redis' clock was set back since.
  local left, longest = redis.call('PTTL', KEYS[2]), tonumber(ARGV[4])
  if redis.pcall('GET', KEYS[2]) == '-' then longest = LONGEST_HIT_FOR_MISS_MS end
  if redis.call('TYPE', KEYS[2]).ok ~= 'string' or left == -1 or left > longest then
    redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
  end
end
local current = history()
local tags = (#KEYS - 3) / 2
local wanted = {KEYS[1]}
local is_declared = 1
for i = 1, tags do
  local token, marks = KEYS[2 * i + 2], KEYS[2 * i + 3]
  local since = declare(KEYS[3], ARGV[6 + tags + i], token, marks)
  if now - since < tonumber(ARGV[6]) then is_declared = 0 end
  wanted[#wanted + 1] = token
end
wanted[#wanted + 1] = KEYS[2]
for i = 1, tags * is_declared do
  local key, marks, token = KEYS[2 * i + 2], KEYS[2 * i + 3], ARGV[6 + i]
  clean(marks)
  if not redis.call('ZSCORE', marks, 'h:' .. current) then
    redis.call('ZREMRANGEBYSCORE', marks, 'inf', 'inf')
    redis.call('ZADD', marks, 'inf', 'h:' .. current)
    redis.call('ZADD', marks, now + ARGV[2], 'm:' .. ARGV[5])
    redis.call('SET', key, token, 'PX', ARGV[1])
  elseif redis.call('EXISTS', key) == 0 then
    if is_unmarked(marks, current) then
      redis.call('SET', key, token)
    else
      redis.call('SET', key, token, 'PX', ARGV[1])
    end
  end
end
return {current, is_declared, redis.call('MGET', unpack(wanted))}
""".replace("LONGEST_HIT_FOR_MISS_MS", str(round(LONGEST_HIT_FOR_MISS_SECONDS * 1000)))
)

# KEYS: lock. ARGV: the filler's value of it. Compared first: after a fill that took longer than its lock,
# another request may hold the lock.
UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

# KEYS: lock. ARGV: the filler's value of it, the new value and its life in milliseconds. The lock must be the
# filler's, or have run out during a long fill.
REPLACE_LOCK = (
    "local lock = redis.call('get', KEYS[1]) "
    "if not lock or lock == ARGV[1] then "
    "redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1 end return 0"
)
