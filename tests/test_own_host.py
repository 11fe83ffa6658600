"""sitecodec.preview.own_host: names of this machine, and nothing that looks like one."""

from __future__ import annotations

import socket

import pytest

from sitecodec.preview import own_host

OWN = ["127.0.0.1", "127.0.0.1:8000", "localhost", "LocalHost:1", "localhost.", "[::1]:80", "[::1]"]


@pytest.mark.parametrize("host", OWN)
def test_own_names(host: str) -> None:
    assert own_host.is_own_host(host, "127.0.0.1")


def test_who_binds_to_the_network_answers_to_addresses_but_not_to_any_name() -> None:
    assert own_host.is_own_host("192.168.0.7:8000", "0.0.0.0")
    assert own_host.is_own_host("[fe80::1]:8000", "::")
    assert own_host.is_own_host(f"{socket.gethostname()}:8000", "0.0.0.0")
    assert own_host.is_own_host("docs.test", "docs.test")
    assert not own_host.is_own_host("evil.example", "0.0.0.0")
