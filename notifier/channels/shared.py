"""What the workers of a provider share through Redis: up to when the rate is spoken for, and until when it rests.

Nothing here is the truth about a message: without Redis every process goes by what it knows itself.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from notifier.channels.pacing import BURST, IDLE, RAMP, RAMP_FROM, RAMP_LEAST
from notifier.clock import HOUR, SECOND, Clock

TIMEOUT: Final = 0.25
"""Seconds for Redis to answer: a hundred times what it takes, and not felt where it hangs."""
ASK_AGAIN: Final = 5 * SECOND
"""After a failure it isn't asked for so long."""
KEPT: Final = HOUR
"""How long a provider's key outlives its last use."""

# KEYS[1]  notifier:provider:<channel>:<name>, a hash:
#     paced     the rate is spoken for up to this instant
#     began     when traffic began after a standstill
#     until     no call begins before this instant
#     tripped   1 where a breaker opened, 0 where the provider asked for it
# Instants are microseconds of Redis's own clock: no process's clock counts.
_NOW: Final = "local time = redis.call('TIME') local now = time[1] * 1000000 + time[2]\n"

# ARGV  rate a second or 0, whether it ramps, for how long (µs) the caller has slots already; cost and patience (µs) of
#       each message.
# Gives how long (µs) the provider rests yet and whether a breaker opened, then each message's wait (µs) or, less than
#       zero, how far away (µs) the slot is that it doesn't wait for.
TAKE: Final = (
    _NOW
    + f"""
local kept = redis.call('HMGET', KEYS[1], 'until', 'tripped', 'paced', 'began')
local rests = (tonumber(kept[1]) or 0) - now
local rate = tonumber(ARGV[1])
if rests > 0 then return {{rests, tonumber(kept[2])}} end
if rate == 0 then return {{0, 0}} end
local paced = tonumber(kept[3]) or 0
if ARGV[3] ~= '0' then paced = math.max(paced, now + ARGV[3]) end
local began = tonumber(kept[4]) or now
if ARGV[2] == '1' then
  if now - paced > {IDLE * 1000} then began = now end
  rate = math.min(rate, math.max(rate * {RAMP_FROM}, {RAMP_LEAST}, rate * (now - began) / {RAMP * 1000}))
end
local answer = {{0, 0}}
for i = 4, #ARGV, 2 do
  local slot = math.max(paced, now - {BURST * 1000})
  local wait = math.max(slot - now, 0)
  if wait <= tonumber(ARGV[i + 1]) then
    paced = slot + ARGV[i] * 1000000 / rate
    answer[#answer + 1] = math.ceil(wait)
  else
    answer[#answer + 1] = -math.ceil(wait)
  end
end
redis.call('HSET', KEYS[1], 'paced', string.format('%.0f', paced), 'began', string.format('%.0f', began))
redis.call('PEXPIRE', KEYS[1], {KEPT})
return answer
"""
)

# ARGV  for how long (µs) no call is to begin, and whether a breaker opened. A longer rest stands.
REST: Final = (
    _NOW
    + f"""
local ends = now + ARGV[1]
if ends > (tonumber(redis.call('HGET', KEYS[1], 'until')) or 0) then
  redis.call('HSET', KEYS[1], 'until', string.format('%.0f', ends), 'tripped', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], {KEPT} + math.ceil(ARGV[1] / 1000))
end
"""
)

log = structlog.get_logger(__name__)


class Taken(NamedTuple):
    """What Redis says, in milliseconds: for how long the provider rests and whether a breaker opened; where it doesn't
    rest, each message's wait or, less than zero, how far away the slot is that it doesn't wait for."""

    rests: float
    tripped: bool
    waits: Sequence[float]


class Shared:
    """One channel's providers in Redis. Its calls end within `TIMEOUT`; where Redis is away they come to nothing."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._client: Redis = Redis.from_url(  # it connects when it is first needed
            url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0)
        )
        self._take = self._client.register_script(TAKE)
        self._rest = self._client.register_script(REST)
        self._clock = clock
        self._away_until = 0

    async def take(
        self, key: str, rate: float, ramps: bool, ahead: float, asked: Sequence[tuple[float, float]]
    ) -> Taken | None:
        """Slots for messages by what they count and how long they wait, at most (ms); None where Redis is away.

        `rate` is 0 where there is none. For `ahead` milliseconds this process has given out slots already: a Redis that
        forgot them is reminded.
        """
        counted = asked if rate else ()  # without a rate all that counts is whether the provider rests
        parts = (number for cost, patience in counted for number in (cost, round(patience * 1000)))
        answer = await self._call(self._take, key, [rate, int(ramps), round(ahead * 1000), *parts])
        if answer is None:
            return None
        rests, tripped, *waits = answer
        return Taken(rests / 1000, bool(tripped), [wait / 1000 for wait in waits] or [0.0] * len(asked))

    async def rest(self, key: str, milliseconds: int, *, tripped: bool) -> None:
        """Tell the others to leave a provider alone for so long."""
        await self._call(self._rest, key, [milliseconds * 1000, int(tripped)])

    async def close(self) -> None:
        await self._client.aclose()

    async def _call(self, script: AsyncScript, key: str, arguments: Sequence[float]) -> Sequence[int] | None:
        if self._clock.now() < self._away_until:
            return None
        try:
            async with asyncio.timeout(TIMEOUT):
                answer: Sequence[int] = await script(keys=[key], args=arguments)
                return answer
        except (RedisError, OSError, TimeoutError) as error:
            self._away_until = self._clock.now() + ASK_AGAIN
            log.warning("providers.redis_away", error=type(error).__name__)
            return None
