"""The entry point of the command `moat`, which says what to install where only asking is."""

import sys


def main() -> None:
    """Run the command line; end in one sentence where its libraries are missing."""
    try:
        from moat.cli import main as run
    except ModuleNotFoundError as error:
        if (error.name or "moat").partition(".")[0] == "moat":
            raise
        sys.exit(f"moat: {error.name} is not there: `pip install 'moat[author]'` brings what the command needs")
    run()
