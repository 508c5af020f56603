"""Report events from Python: `Producer` from ordinary code, `AsyncProducer` from asyncio.

Both bring concurrent calls together into batches, and send again what the service could not take for the moment: an
event's source and id make a repeat harmless. A call returns when its events are accepted, which means that they are
in the database, and raises ServiceUnavailable where they were not within `timeout` seconds. With a `spool`, a file,
events that were not accepted when the process ended are sent when the next one begins.

>>> with Producer("https://notifier.example.com", key="ntf_…", source="billing") as producer:
...     producer.send("payment.failed", {"account_id": "a1", ...}, id="attempt-7")
"""

from notifier.client.answers import BATCH, ServiceUnavailable
from notifier.client.producer import AsyncProducer
from notifier.client.threads import Producer

__all__ = ["BATCH", "AsyncProducer", "Producer", "ServiceUnavailable"]
