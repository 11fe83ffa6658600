"""The generated matrix (see matrix.py): nothing is laid out in another way once it is built."""

from __future__ import annotations

import pytest

from sitecodec.check import browsers
from sitecodec.errors import SiteError
from tests.check import matrix

pytest.importorskip("playwright.async_api", reason="playwright is not installed")


def need(browser):
    try:
        browsers.find(browser)
    except SiteError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """What differs in the sample, by kind of CSS."""
    need("chromium")
    found = {}
    for one in matrix.run(matrix.sample(), tmp_path_factory.mktemp("matrix")):
        found.setdefault(one.cell.style, []).append(one)
    return found


@pytest.mark.parametrize("style", matrix.STYLES)
def test_a_built_page_is_laid_out_as_the_plain_one(wrong, style):
    assert not wrong.get(style), "\n" + "\n".join(map(str, wrong[style]))


@pytest.mark.slow
def test_firefox_agrees_about_each_twelfth(tmp_path):
    need("firefox")
    found = matrix.run(matrix.sample()[::12], tmp_path / "matrix", "firefox")
    assert not found, "\n" + "\n".join(map(str, found))
