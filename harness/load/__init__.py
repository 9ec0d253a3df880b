"""The load generator: many concurrent operations as coroutines in one asyncio loop, in an unpatched child process."""
