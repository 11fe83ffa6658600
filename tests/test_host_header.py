"""sitecodec.preview.host_header: names of this machine, and nothing that looks like one."""

from __future__ import annotations

import socket

import pytest

from sitecodec.preview import host_header

OWN = ["127.0.0.1", "127.0.0.1:8000", "localhost", "LocalHost:1", "localhost.", "[::1]:80", "[::1]"]


@pytest.mark.parametrize("host", OWN)
def test_own_names(host: str) -> None:
    assert host_header.is_own_host(host, "127.0.0.1")


def test_who_binds_to_the_network_answers_to_addresses_but_not_to_any_name() -> None:
    assert host_header.is_own_host("192.168.0.7:8000", "0.0.0.0")
    assert host_header.is_own_host("[fe80::1]:8000", "::")
    assert host_header.is_own_host(f"{socket.gethostname()}:8000", "0.0.0.0")
    assert host_header.is_own_host("docs.test", "docs.test")
    assert not host_header.is_own_host("evil.example", "0.0.0.0")
