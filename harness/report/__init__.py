"""Rendering: a `harness.results.run.Run` in, a page out. Nothing here measures, and nothing here is needed to measure.

`html` is the report, `terminal` the table at the end of a command, `markdown` the same for a pull request; `figures` holds one
figure a file. What they share: `numbers` (how a figure is written), `promises` (verdicts side by side and on one axis),
`tables` (measurements side by side) and `svg` (one look, light and dark).
"""
