from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from shipper.core.errors import SourceUnavailable
from shipper.sources.stomp.broker import TlsFiles
from shipper.sources.stomp.tls import client_context


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pem")
    authority = trustme.CA()
    ours = authority.issue_cert("shipper")
    key = ours.private_key_pem.bytes()
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (folder / "cert.pem").write_bytes(ours.cert_chain_pems[0].bytes())
    (folder / "key.pem").write_bytes(key)
    (folder / "both.pem").write_bytes(key + ours.cert_chain_pems[0].bytes())
    (folder / "locked.pem").write_bytes(
        load_pem_private_key(key, None).private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")
        )
    )
    (folder / "text.pem").write_text("nothing of the kind")
    return folder


def test_chain_and_name_are_verified_and_old_versions_are_not_spoken(pem: Path) -> None:
    context = client_context(TlsFiles(pem / "ca.pem"))

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_only_the_given_authority_is_believed(pem: Path) -> None:
    context = client_context(TlsFiles(pem / "ca.pem"))

    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize(("cert", "key"), [("cert.pem", "key.pem"), ("both.pem", None)])
def test_the_key_is_in_a_file_of_its_own_or_beside_the_certificate(
    pem: Path, cert: str, key: str | None
) -> None:
    client_context(TlsFiles(pem / "ca.pem", pem / cert, pem / key if key else None))


@pytest.mark.parametrize(
    ("ca_certs", "cert", "key", "text"),
    [
        ("none.pem", None, None, "ca_certs .*none.pem cannot be read: No such file"),
        ("text.pem", None, None, "ca_certs .*text.pem is no such file in PEM"),
        ("ca.pem", "none.pem", None, "cert .*none.pem cannot be read"),
        ("ca.pem", "text.pem", None, "cert .*text.pem is no such file in PEM"),
        ("ca.pem", "cert.pem", "locked.pem", "key .*locked.pem is encrypted"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    pem: Path, ca_certs: str, cert: str | None, key: str | None, text: str
) -> None:
    files = TlsFiles(pem / ca_certs, pem / cert if cert else None, pem / key if key else None)

    with pytest.raises(SourceUnavailable, match=text):
        client_context(files)
