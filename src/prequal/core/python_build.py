"""The build of this Python: with its makers' optimisations a fifth of the API's own CPU time less.

Run as a script, by an interpreter that has nothing installed, it ends with 0 when `make` should take that one.

Invariant: it needs the standard library alone.
"""

import sys
import sysconfig

OLDEST = (3, 11)


def is_optimized() -> bool:
    """Whether it was built by profile (`--enable-optimizations`); a distribution's own Python always is.

    Debian builds by profile in its own way and leaves no trace of it in the configuration.
    """
    built_by_profile = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    return built_by_profile or sys.base_prefix == "/usr"


def version() -> str:
    """As `3.11.2`."""
    return sys.version.split()[0]


def can_make_environments() -> bool:
    """Whether it can make a virtual environment with pip in it."""
    try:
        import ensurepip  # noqa: F401  # Debian leaves it to a package of its own
        import venv  # noqa: F401
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(not (sys.version_info >= OLDEST and is_optimized() and can_make_environments()))
