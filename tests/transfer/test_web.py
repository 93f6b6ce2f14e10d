"""Sources on the web, served by this machine, whose address is private."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.transfer import web
from airflow_provider_gemini_files.transfer.sources import find_source

CONTENT = b"0123456789" * 100


class Handler(BaseHTTPRequestHandler):
    """Responds as its server is set up."""

    def do_GET(self) -> None:
        site = self.server.site
        site["asked"].append((self.path, self.headers.get("Host"), self.headers.get("Range")))
        site["authorization"] = self.headers.get("Authorization")
        if self.path.startswith("/to/"):
            left = int(self.path[4:])
            return self.answer(302, b"", Location=f"/to/{left - 1}" if left else "/a.txt")
        if self.path.startswith("/away"):
            return self.answer(302, b"", Location=site["away"])
        if self.path.startswith("/login/"):
            return self.answer(302, b"", Location="/page")
        if self.path == "/page":
            return self.answer(200, site["page"], **{"Content-Type": site["type"]})
        if self.path == "/chunks":
            self.protocol_version = "HTTP/1.1"
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"a\r\n0123456789\r\n0\r\n\r\n")
            return None
        if self.path.startswith("/drip"):
            return self.drip(site["content"][:50])
        if self.path.startswith("/encoded/"):
            return self.answer(200, site["content"], **{"Content-Encoding": self.path.rpartition("/")[2]})
        if self.path.startswith("/status/"):
            return self.answer(int(self.path[8:11]), b"no")
        content, start = site["content"], 0
        if (asked := self.headers.get("Range")) and site["ranges"]:
            start = site.get("start", int(asked[6:-1]))
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self.answer(206, content[start:], ETag=site["etag"], **{"Content-Range": span})
        return self.answer(200, content, ETag=site["etag"])

    def drip(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for byte in content:
                self.wfile.write(bytes([byte]))
                time.sleep(0.001)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.server.site["sized"]:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # The client closes the connection once it knows the size.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.site = {"content": CONTENT, "etag": '"1"', "ranges": True, "sized": True, "away": "", "asked": []}
    server.site |= {"page": b"<!DOCTYPE html><p>Log in", "type": "text/html; charset=utf-8"}
    server.site["url"] = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server.site
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


def find(url: str):
    return find_source(url, allow_private_urls=True)


def read(source, offset: int = 0) -> bytes:
    with contextlib.closing(source.open(offset)) as stream:
        return b"".join(iter(lambda: stream.read(64), b""))


def test_url_is_a_source(site):
    source = find(f"{site['url']}/some/gr%C3%BC%C3%9Fe.txt?token=secret")

    assert (source.name, source.size) == ("grüße.txt", 1000)
    assert source.uri == f"{site['url']}/some/gr%C3%BC%C3%9Fe.txt"
    assert read(source) == CONTENT


def test_white_space_around_a_url_is_not_part_of_it(site):
    source = find(f"\n  {site['url']}/a.txt\n")

    assert (source.uri, read(source)) == (f"{site['url']}/a.txt", CONTENT)


@pytest.mark.parametrize("ranges", [True, False])
def test_url_is_read_from_an_offset_with_and_without_ranges(site, ranges):
    site["ranges"] = ranges

    assert read(find(f"{site['url']}/a.txt"), 995) == b"56789"
    assert site["asked"][-1][2] == "bytes=995-"


def test_another_part_than_the_requested_one_is_refused(site):
    source = find(f"{site['url']}/a.txt")
    # A cache that sends everything as if it was the part.
    site["start"] = 0

    with pytest.raises(e.GeminiInputError, match="changed while it was read"):
        source.open(995)


def test_versions_of_a_source_are_not_mixed(site):
    source = find(f"{site['url']}/a.txt")
    site["etag"] = '"2"'

    assert find(f"{site['url']}/a.txt").fingerprint != source.fingerprint
    with pytest.raises(e.GeminiInputError, match="changed while it was read"):
        source.open(10)


def test_redirects_are_followed_up_to_a_limit(site):
    assert read(find(f"{site['url']}/to/4")) == CONTENT

    with pytest.raises(e.GeminiInputError, match="more than 5 times"):
        find(f"{site['url']}/to/5")


def test_source_without_size_is_refused(site):
    site["sized"] = False

    with pytest.raises(e.GeminiInputError, match=r"without its size \(Content-Length\)"):
        find(f"{site['url']}/a.txt")


def test_source_that_drips_is_read_as_long_as_it_is_fast_enough(site, monkeypatch):
    source = find(f"{site['url']}/drip.txt")
    assert read(source) == CONTENT[:50]
    assert find(f"{site['url']}/drip.pdf").size == 50

    monkeypatch.setattr(web, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(web, "_LEAST_RATE", 10**6)
    with pytest.raises(e.GeminiServiceError, match=r"drip.txt' has sent \d+ bytes in 0 s; a retry may succeed"):
        read(source)
    with pytest.raises(e.GeminiServiceError, match=r"drip.pdf' has sent"):
        find(f"{site['url']}/drip.pdf")


def test_size_beside_chunks_is_not_trusted(site):
    with pytest.raises(e.GeminiInputError, match=r"without its size \(Content-Length\)"):
        find(f"{site['url']}/chunks")


@pytest.mark.parametrize(
    ("status", "error"), [(404, e.GeminiInputError), (403, e.GeminiInputError), (503, e.GeminiServiceError)]
)
def test_error_response_is_permanent_or_can_be_retried(site, status, error):
    with pytest.raises(error, match=f"/status/{status}' returns {status}"):
        find(f"{site['url']}/status/{status}?token=secret")


@pytest.mark.parametrize("place", ["127.0.0.1:99999", "127.0.0.1:abc", "a..b", "a" * 64])
def test_impossible_host_or_port_is_not_retried(site, place):
    with pytest.raises(e.GeminiInputError, match="a host or port that cannot be"):
        find(f"http://{place}/a.txt?token=secret")


def test_redirect_to_an_impossible_port_is_not_retried(site):
    site["away"] = "http://127.0.0.1:99999/a.txt"

    with pytest.raises(e.GeminiInputError, match="a host or port that cannot be"):
        find(f"{site['url']}/away")


def test_unreachable_server_can_be_retried():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(e.GeminiServiceError, match="cannot be reached"):
        find(f"http://127.0.0.1:{port}/a.txt")


def test_empty_source_is_refused(site):
    site["content"] = b""

    with pytest.raises(e.GeminiInputError, match="is empty"):
        find(f"{site['url']}/a.txt")


def test_user_in_the_url_authorises_and_is_not_shown(site):
    source = find(site["url"].replace("://", "://me:pass%20word@") + "/a.txt")

    assert source.uri == f"{site['url']}/a.txt"
    assert site["authorization"] == "Basic bWU6cGFzcyB3b3Jk"


@pytest.mark.parametrize("location", ["http://[::1", "http://host:port/", "http://a\x7fb/"])
def test_redirect_to_an_invalid_url_is_an_error_of_ours(site, location):
    site["away"] = location

    with pytest.raises(e.GeminiFilesError, match="/away'"):
        find(f"{site['url']}/away?token=secret")


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP"])
def test_compressed_response_is_refused(site, encoding):
    with pytest.raises(e.GeminiInputError, match=f"is sent compressed .Content-Encoding: {encoding}. .*download it"):
        find(f"{site['url']}/encoded/{encoding}")


def test_identity_is_not_a_compression(site):
    assert read(find(f"{site['url']}/encoded/identity")) == CONTENT


@pytest.mark.parametrize("name", ["report.pdf", "clip.mp4", "table.csv", "letter.docx", "archive.zip"])
@pytest.mark.parametrize(
    ("page", "content_type"),
    [
        (b"<!DOCTYPE html><p>Log in", "text/html; charset=utf-8"),
        (b"<script>location = '/login'</script>", "text/html"),
        (b"\n<html><p>Log in", "application/pdf"),
        (b"\n<html><p>Log in", ""),
    ],
)
def test_login_page_instead_of_a_file_is_refused(site, name, page, content_type):
    site["page"], site["type"] = page, content_type

    with pytest.raises(e.GeminiInputError, match=f"{name}' returns an HTML page .*login") as raised:
        find(f"{site['url']}/login/{name}?token=secret")

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("name", ["report.pdf", "clip.MP4", "scan.jpg"])
@pytest.mark.parametrize("content_type", ["application/json", "application/problem+json", "Text/XML; charset=utf-8"])
def test_message_instead_of_a_file_is_refused(site, name, content_type):
    site["page"], site["type"] = b'{"error": "the link has expired"}', content_type

    with pytest.raises(e.GeminiInputError, match=f"{name}' returns text .Content-Type: .* instead of the file"):
        find(f"{site['url']}/login/{name}")


@pytest.mark.parametrize(("name", "content_type"), [("main.ts", "text/plain"), ("a.pdf", "application/octet-stream")])
def test_text_is_accepted_if_name_or_type_fit_it(site, name, content_type):
    site["page"], site["type"] = b"export const a = 1", content_type

    assert read(find(f"{site['url']}/login/{name}")) == site["page"]


@pytest.mark.parametrize("name", ["page.html", "page", "read.md"])
def test_page_is_accepted_for_a_name_that_can_be_html(site, name):
    assert read(find(f"{site['url']}/login/{name}")) == site["page"]


def test_file_with_a_wrong_content_type_is_accepted(site):
    site["page"] = b"%PDF-1.7\n%\xe2\xe3"

    assert read(find(f"{site['url']}/login/report.pdf")) == site["page"]


@pytest.mark.parametrize(("suffix", "kept"), [(".pdf", ".pdf"), ("." + "x" * 100, "")])
def test_long_name_is_cut_but_keeps_its_suffix(site, suffix, kept):
    name = find(f"{site['url']}/{'n' * 600}{suffix}").name

    assert len(name) == 512
    assert name.endswith(f"n…{kept}")
    assert display_name_for(name, Owner("dag", "run", "task"))


def test_invalid_url_is_refused_without_its_secrets():
    with pytest.raises(e.GeminiInputError, match=r"Source http://\.\.\. is not a valid URL"):
        find("http://user:secret@[::1/a.txt")


# --- private addresses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[fd00::1]", "0"])
def test_private_address_is_refused(host):
    with pytest.raises(e.GeminiInputError, match=r"not a public address; allow_private_urls=True"):
        find_source(f"http://{host}/latest/meta-data")


def test_redirect_to_private_address_is_refused(site, mocker):
    site["away"] = "http://169.254.169.254/latest"
    seen = mocker.patch.object(web, "is_public", autospec=True, side_effect=lambda ip: ip == "127.0.0.1")

    with pytest.raises(e.GeminiInputError, match=r"leads to '169\.254\.169\.254'"):
        find_source(f"{site['url']}/away")

    assert [call.args[0] for call in seen.call_args_list] == ["127.0.0.1", "169.254.169.254"]


def test_request_goes_to_the_address_that_was_checked(site, mocker):
    port = int(site["url"].rpartition(":")[2])
    mocker.patch.object(web, "is_public", autospec=True, return_value=True)
    look_up, names = socket.getaddrinfo, []

    def remember(host, *args, **kwargs):
        names.append(host)
        return look_up("127.0.0.1" if host == "example.test" else host, *args, **kwargs)

    mocker.patch.object(web.socket, "getaddrinfo", autospec=True, side_effect=remember)

    find_source(f"http://example.test:{port}/a.txt")

    # The name is resolved once; the connection is made to the address.
    assert names == ["example.test", "127.0.0.1"]
    assert site["asked"] == [("/a.txt", f"example.test:{port}", None)]


@contextlib.contextmanager
def _closing(server: ThreadingHTTPServer):
    yield
    server.shutdown()
    server.server_close()


@pytest.fixture
def certificate(tmp_path):
    """Create a certificate for example.test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("example.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + signed.public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize("text", [None, "", "no certificate"], ids=["missing", "empty", "garbage"])
def test_unusable_certificates_of_the_worker_are_named(site, monkeypatch, tmp_path, text):
    path = tmp_path / "certificates.pem"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))

    with pytest.raises(e.GeminiInputError, match=r"certificates that SSL_CERT_FILE or SSL_CERT_DIR .* cannot be read"):
        find(f"{site['url']}/a.txt?token=secret")


@pytest.mark.parametrize(("host", "fits"), [("example.test", True), ("other.test", False)])
def test_certificate_must_match_the_name_although_an_address_is_requested(mocker, monkeypatch, certificate, host, fits):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.site = {"content": CONTENT, "etag": "", "ranges": True, "sized": True, "asked": []}
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.server_port))]
    mocker.patch.object(web.socket, "getaddrinfo", autospec=True, return_value=found)
    with _closing(server):
        end = contextlib.nullcontext() if fits else pytest.raises(e.GeminiServiceError, match="ConnectError")
        with end:
            assert read(find(f"https://{host}:{server.server_port}/a.txt")) == CONTENT


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("fe80::1%eth0", False),
    ],
)
def test_address_is_public(address, public):
    assert web.is_public(address) is public


def test_redirect_to_another_scheme_is_refused(site):
    site["away"] = "file:///etc/passwd"

    with pytest.raises(e.GeminiInputError, match=r"leads to a URL that is not http\(s\)"):
        find(f"{site['url']}/away")


def test_url_is_one_source_even_with_glob_characters(site):
    assert find(f"{site['url']}/a*b?c=[1]").name == "a*b"
