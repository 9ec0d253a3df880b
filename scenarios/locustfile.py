"""Every scenario as a Locust user: `locust -f scenarios`."""

from pathlib import Path

from harness.locust_adapter import users

globals().update(users(Path(__file__).parent))
