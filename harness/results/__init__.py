"""Every record that is stored, and the store."""
