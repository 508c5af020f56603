"""Provider state that workers share, kept in Redis if Redis is the broker."""

from collections.abc import Sequence
from typing import Final

from notifier.domain.clock import HOUR
from notifier.providers.pacing import BURST, IDLE, RAMP, RAMP_FROM, RAMP_LEAST
from notifier.providers.shared import TIMEOUT, Taken
from notifier.runtime.broker_url import RedisUrl
from notifier.runtime.redis_clients import connect_async

KEPT: Final = HOUR
"""How long a provider's key outlives its last use."""

# KEYS[1]  <namespace>:provider:<channel>:<name>, a hash:
#     paced     the rate is used up to this instant
#     began     when traffic began after a pause
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


class InRedis:
    """`Kept` in Redis, by its own clock, under keys of this installation; it connects when it is first needed."""

    def __init__(self, url: RedisUrl, namespace: str) -> None:
        self._namespace = namespace
        self._client = connect_async(url, TIMEOUT)
        self._take = self._client.register_script(TAKE)
        self._rest = self._client.register_script(REST)

    async def take(
        self, key: str, rate: float, ramps: bool, ahead: float, asked: Sequence[tuple[float, float]]
    ) -> Taken:
        counted = asked if rate else ()  # without a rate only the provider's rest counts
        parts = (number for cost, patience in counted for number in (cost, round(patience * 1000)))
        answer = await self._take(
            keys=[f"{self._namespace}:{key}"], args=[rate, int(ramps), round(ahead * 1000), *parts]
        )
        rests, tripped, *waits = answer
        return Taken(rests / 1000, bool(tripped), [wait / 1000 for wait in waits] or [0.0] * len(asked))

    async def rest(self, key: str, milliseconds: int, *, tripped: bool) -> None:
        await self._rest(keys=[f"{self._namespace}:{key}"], args=[milliseconds * 1000, int(tripped)])

    async def close(self) -> None:
        await self._client.aclose()
