"""Clock, cores, machine, workspace, and the one way to start and talk to a child process."""
