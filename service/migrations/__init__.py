"""Schema changes under test. Each works on a plain connection and leaves the shared metadata unchanged."""
