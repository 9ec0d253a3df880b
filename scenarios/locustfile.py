"""Every scenario as a Locust user: `locust -f scenarios`."""

from pathlib import Path

from harness.as_locust import users

globals().update(users(Path(__file__).parent))
