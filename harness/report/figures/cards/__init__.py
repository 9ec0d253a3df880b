"""The figures of one scenario's card, written directly as SVG. The folder is the registry: a new file is a new figure.

Each has `draw(result, samples)`, which returns a chart, or None if the scenario has nothing to draw; `ORDER`, its position in the
card; `TITLE`; and `HOW_TO_READ`, one short sentence. `NEEDS_SAMPLES` marks those that cannot be drawn from the record alone.
"""
