"""Many runs as a history over commits: reading and ordering them, separating what is not comparable, and finding steps."""
