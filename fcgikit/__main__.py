"""``python -m fcgikit``, and the command ``fcgikit``: the command line."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line."""
    # What is imported stays: to look through it for garbage takes a tenth of the start.
    gc.disable()
    from .cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
