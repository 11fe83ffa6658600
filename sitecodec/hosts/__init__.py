"""Hosts: the programs that build sites, and call sitecodec when they have.

MkDocs' plugin is the repository's folder `mkdocs_plugin`. A wheel has it inside this package, so
that sitecodec installs nothing under a name that others may want.
"""

from pathlib import Path

if not (Path(__file__).parent / "mkdocs_plugin").is_dir():  # an editable install
    __path__.append(str(Path(__file__).parents[2]))
