"""How a call has to be refused: with one line, which says what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sitecodec.errors import ModelError


def refused(call: Callable[[], object], *words: str) -> None:
    """The call raises ModelError of one line with these words."""
    with pytest.raises(ModelError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text
