"""Many users at once: coroutines in one asyncio loop, in an unpatched process of its own."""
