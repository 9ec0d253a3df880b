"""Clock, cores, machine, workspace and child processes."""
