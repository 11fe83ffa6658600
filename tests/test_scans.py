"""What a page's bytes say."""

from __future__ import annotations

from sitecodec.site import scans

PAGE = (
    b'<html><head><link rel=stylesheet href="a/b.css" integrity="sha-x"><base href="/x/"></head>'
    b'<body class="md-content" style="background: url(b&amp;c.png)"><main>\xff<img src="\xe9.png" '
    b'alt=a><picture><source srcset=c.webp media=x><img src="d.png"></picture></main>'
    b"<style>p { background: url(\xfe.jpg) }</style><img src=outside.png></body></html>"
)


def test_a_page_is_read():
    found = scans.scan(PAGE)
    assert [image.get("src") for image in found.document.images] == [
        *("\u00e9.png", "d.png", "outside.png"),
    ]
    assert found.document.base == "/x/"
    assert len(found.styles) == 2
    assert found.pinned == ("b.css",)
    assert found.content_width == found.page_width == 760
