"""Put the photographs into the example site: `python example_site/prepare.py`.

They come from the files that the scikit-image and scikit-learn wheels install, so nothing is
downloaded and nothing of others' is kept in this repository. JPEG files are copied byte for byte.
Colour photographs that the wheels hold as PNG are saved as JPEG, quality 90, as an author of a
site would; leaving them PNG would flatter every figure this site reports. Two stay PNG on
purpose: the micrograph and the wall, since scientific and greyscale PNGs are common on real sites.
Licences and authors are on docs/credits.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PHOTOS = Path(__file__).resolve().parent / "docs" / "images" / "photos"
JPEG_QUALITY = 90


@dataclass(frozen=True)
class Photo:
    """One picture: where it lies in an installed package, and its name on the site."""

    package: str
    source: str
    name: str

    @property
    def copied(self) -> bool:
        """Whether the site's file has the very bytes of the package's file."""
        return Path(self.source).suffix == Path(self.name).suffix


PHOTOGRAPHS = (
    Photo("skimage", "data/astronaut.png", "astronaut.jpg"),
    Photo("skimage", "data/camera.png", "camera.jpg"),
    Photo("skimage", "data/chelsea.png", "chelsea.jpg"),
    # A space and a letter outside ASCII, because authors' files are called such things.
    Photo("skimage", "data/coffee.png", "café crème.jpg"),
    Photo("skimage", "data/hubble_deep_field.jpg", "deep-field.jpg"),
    Photo("skimage", "data/retina.jpg", "retina.jpg"),
    Photo("skimage", "data/rocket.jpg", "rocket.jpg"),
    Photo("skimage", "data/ihc.png", "tissue.png"),
    Photo("skimage", "data/brick.png", "wall.png"),
    Photo("sklearn", "datasets/images/china.jpg", "temple.jpg"),
    Photo("sklearn", "datasets/images/flower.jpg", "flower.jpg"),
)

DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn"}


def source_path(photo: Photo) -> Path:
    """The photograph's file in the installed package.

    Raises:
        FileNotFoundError: the package, or the file in it, is not there; says what to install.
    """
    spec = find_spec(photo.package)  # finds the folder without the cost of an import
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        path = Path(folder) / photo.source
        if path.is_file():
            return path
    wanted = DISTRIBUTIONS[photo.package]
    raise FileNotFoundError(
        f"{photo.source} of {wanted} is not installed; run: pip install --upgrade {wanted}"
    )


def prepare(photo: Photo, folder: Path) -> Path:
    """Write one photograph into `folder`; gives its path. Raises FileNotFoundError."""
    source, target = source_path(photo), folder / photo.name
    folder.mkdir(parents=True, exist_ok=True)
    if photo.copied:
        shutil.copyfile(source, target)
    else:
        from PIL import Image

        with Image.open(source) as image:
            image.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return target


def main() -> int:
    """Write every photograph; returns the exit status."""
    parser = argparse.ArgumentParser(description="put the photographs into the example site")
    parser.add_argument("--out", type=Path, default=PHOTOS, help="folder to write")
    folder = parser.parse_args().out
    try:
        total = sum(prepare(photo, folder).stat().st_size for photo in PHOTOGRAPHS)
    except FileNotFoundError as error:
        print(f"prepare.py: {error}", file=sys.stderr)
        return 1
    print(f"{len(PHOTOGRAPHS)} photographs, {total / 1000:.0f} kB, in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
