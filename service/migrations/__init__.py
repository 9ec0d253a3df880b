"""Changes to the schema that are on trial. Each works on a plain connection and leaves the shared metadata alone."""
