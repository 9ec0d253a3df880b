"""The name and version of the installed package."""

DISTRIBUTION = "advice-on-trial"
"""The name that pip installs."""


def version() -> str:
    """Return the installed version, such as `1.2.0`; "unknown" where the package runs from a source tree without installation."""
    import importlib.metadata  # noqa: PLC0415 - slow to import, and errors need the name alone

    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
