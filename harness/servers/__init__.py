"""Servers started for a run, each in a process that never outlives the run.

A module with `server(folder)`, a context manager that yields a URL, is a server that scenarios can name, such as `redis`; the
folder is the registry. Servers of database engines are in `harness.databases.engines`. `prometheus.scraper` and
`tursodb.sync_server` take more arguments and are started by their users directly. The helpers are `lifecycle`, which starts a
setting's servers and shares them among scenarios, `guard`, which keeps a server's process from outliving its starter, and
`application`, which serves a user's web application.
"""
