"""Reports: a `harness.results.run.Run` or a gate's result in, text or a page out. Nothing here measures.

`blocks` is the model: tables, paragraphs, notices, sections. Content modules build it: `overview` for a whole run, `promises`,
`tables`, `load`, `capacity`, `ablation`, `review`, `comparison`, `gate`. Three writers turn it into text: `html`, `markdown`,
`terminal`. `figures` has one figure per file, `svg` their common style, `numbers` the format of figures. `junit` and `github` are
for CI.
"""
