"""streamproc: an asyncio stream processor with windows, keyed state and exactly-once recovery."""
