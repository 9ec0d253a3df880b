"""What the question about load stands on: a server whose times are known, and the tools that ask it."""
