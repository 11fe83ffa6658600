"""`python -m sitecodec`: the command, for environments whose scripts are not on the PATH."""

from sitecodec.cli.commands import main

if __name__ == "__main__":  # worker processes import this, too
    main(prog_name="python -m sitecodec")
