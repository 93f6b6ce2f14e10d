"""Sources on the web: streamed, and refused if the URL leads to an address that is not public."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

import httpx

from airflow_provider_gemini_files.common.limits import MAX_DISPLAY_NAME
from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.files.mime import is_media, may_be_html
from airflow_provider_gemini_files.files.signatures import HEAD_BYTES, is_html, is_text
from airflow_provider_gemini_files.transfer.certificates import ssl_context
from airflow_provider_gemini_files.transfer.source import Readable, Source, skip

MAX_REDIRECTS = 5
_TIMEOUT_SECONDS = 60
_REDIRECTS = {301, 302, 303, 307, 308}
#: Seconds of waiting for bytes after which the least rate, in bytes per second, is asked for: the timeout above starts
#: again with each byte.
_PATIENCE_SECONDS = 60.0
_LEAST_RATE = 100
_HTML_TYPES = {"text/html", "application/xhtml+xml"}
_TEXT_TYPE = re.compile(r"text/.+|application/(?:.+\+)?(?:json|xml)")
_CONTENT_RANGE = re.compile(r"bytes +(\d+)-\d+/(\d+)", re.ASCII | re.IGNORECASE)
#: Characters of the longest suffix that is kept if a name is cut.
_MAX_SUFFIX = 16


def find(url: str, *, allow_private: bool) -> Source:
    """
    Return the source at a URL. Its bytes are requested when they are sent.

    :param allow_private: accept addresses that are not public.
    :raises GeminiInputError: if the server refuses it, does not give its size, compresses it, or returns an HTML page
        or a message for a name like ``report.pdf``; or if it leads to an address that is not allowed.
    :raises GeminiServiceError: if its server fails.
    """
    shown, name = _shown(url), _name(url)
    with _Opened(url, allow_private) as found:
        headers = found.response.headers
        # A response in chunks ends with the last one, whatever its Content-Length says.
        size = "" if "transfer-encoding" in headers else headers.get("content-length", "")
        if not size.isdigit():
            raise GeminiInputError(
                f"Source {shown!r} is sent without its size (Content-Length), which an upload needs: download it, and "
                "upload the local file."
            )
        if not may_be_html(name):
            found.refuse_message(is_media=is_media(name))
    version = headers.get("etag") or headers.get("last-modified") or ""

    def open_at(offset: int) -> Readable:
        opened = _Opened(url, allow_private, offset)
        try:
            opened.check(int(size), version, offset)
            # A server without support for ranges sends everything.
            skip(opened, 0 if opened.response.status_code == 206 else offset)
        except BaseException:
            opened.close()
            raise
        return opened

    # Only a digest of the fingerprint is kept, as the query of the URL can be secret.
    return Source(shown, name, int(size), fingerprint=(url, size, version), open=open_at)


class _Opened:
    """The response to a GET, after redirects; the address of each was checked."""

    def __init__(self, url: str, allow_private: bool, offset: int = 0) -> None:
        # Without proxies: a proxy resolves the name itself, which bypasses the check of the address.
        # SSL_CERT_FILE and SSL_CERT_DIR still add certificates.
        self._shown = _shown(url)
        try:
            certificates = ssl_context()
        except OSError as error:
            raise GeminiInputError(
                f"Source {self._shown!r}: the certificates that SSL_CERT_FILE or SSL_CERT_DIR of this worker name "
                f"cannot be read ({type(error).__name__})."
            ) from error
        self._client = httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=certificates)
        self._left = b""
        self._received = 0
        self._waited = 0.0
        try:
            self.response = self._follow(url, allow_private, offset)
        except httpx.TransportError as error:
            self.close()
            raise self._unreachable(error) from error
        except httpx.InvalidURL as error:
            self.close()
            raise GeminiInputError(f"Source {self._shown!r} is, or redirects to, a URL that is not valid.") from error
        except BaseException:
            self.close()
            raise
        self._blocks: Iterator[bytes] = self.response.iter_raw()

    def _follow(self, url: str, allow_private: bool, offset: int) -> httpx.Response:
        for _ in range(MAX_REDIRECTS + 1):
            request = self._request(url, _address(url, allow_private, self._shown), offset)
            response = self._client.send(request, stream=True)
            if response.status_code not in _REDIRECTS or "location" not in response.headers:
                return self._accepted(response)
            response.close()
            url = self._joined(url, response.headers["location"])
        raise GeminiInputError(f"Source {self._shown!r} was redirected more than {MAX_REDIRECTS} times.")

    def _joined(self, url: str, location: str) -> str:
        try:
            return urljoin(url, location)
        except ValueError as error:
            raise GeminiInputError(f"Source {self._shown!r} redirects to a URL that is not valid.") from error

    def _request(self, url: str, address: str, offset: int) -> httpx.Request:
        """Build a request to the address that was checked, as a second look-up could return another one."""
        parts = httpx.URL(url)
        headers = {"Host": parts.netloc.decode(), "Accept-Encoding": "identity"}
        if parts.userinfo:
            user, _, password = (unquote(part) for part in parts.userinfo.decode().partition(":"))
            headers["Authorization"] = next(
                httpx.BasicAuth(user, password).auth_flow(httpx.Request("GET", url))
            ).headers["Authorization"]
        if offset:
            headers["Range"] = f"bytes={offset}-"
        pinned = parts.copy_with(host=address, userinfo=b"", fragment=None)
        return self._client.build_request("GET", pinned, headers=headers, extensions={"sni_hostname": parts.host})

    def _accepted(self, response: httpx.Response) -> httpx.Response:
        if response.status_code in (200, 206):
            self._refuse_compressed(response.headers.get("content-encoding", ""))
            return response
        message = f"Source {self._shown!r} returns {response.status_code} {response.reason_phrase}"
        if response.status_code in (408, 429) or response.status_code >= 500:
            raise GeminiServiceError(f"{message}; a retry may succeed.")
        raise GeminiInputError(f"{message}.")

    def _refuse_compressed(self, encoding: str) -> None:
        # It is not decoded, since the upload has to state the decoded size before the first byte.
        if encoding.strip().lower() not in ("", "identity"):
            raise GeminiInputError(
                f"Source {self._shown!r} is sent compressed (Content-Encoding: {encoding}) although the server was "
                "asked "
                "not to: download it, and upload the local file."
            )

    def refuse_message(self, *, is_media: bool) -> None:
        """
        Raise an error if the response is an HTML page, mostly a login page behind a redirect, or tells of an error.

        :param is_media: also if both the response's type and its bytes are text.
        """
        try:
            head = self._head()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        content_type = self.response.headers.get("content-type", "")
        kind = content_type.partition(";")[0].strip().lower()
        if is_html(head) or (kind in _HTML_TYPES and is_text(head)):
            what = "an HTML page"
        elif is_media and head and is_text(head) and _TEXT_TYPE.fullmatch(kind):
            what = "text"
        else:
            return
        raise GeminiInputError(
            f"Source {self._shown!r} returns {what} (Content-Type: {content_type[:100] or 'none'}) instead of the "
            "file. The server may want a login: use a URL that needs none."
        )

    def _head(self) -> bytes:
        head = b""
        while len(head) < HEAD_BYTES and (data := self.read(HEAD_BYTES - len(head))):
            head += data
        return head

    def _unreachable(self, error: httpx.TransportError) -> GeminiServiceError:
        return GeminiServiceError(f"Source {self._shown!r} cannot be reached ({type(error).__name__}).")

    def check(self, size: int, version: str, offset: int) -> None:
        """Raise an error if the response has another version of the source, or not the requested part."""
        headers = self.response.headers
        if self.response.status_code == 206:
            span = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
            is_part = span is not None and (int(span[1]), int(span[2])) == (offset, size)
        else:
            is_part = headers.get("content-length", "") == str(size)
        if not is_part or (headers.get("etag") or headers.get("last-modified") or "") != version:
            raise GeminiInputError(
                f"Source {self._shown!r} changed while it was read: clear the task to upload the new version."
            )

    def read(self, size: int, /) -> bytes:
        """
        Return at most ``size`` bytes; none at the end.

        :raises GeminiServiceError: if they come so slowly that they might never end.
        """
        if not self._left:
            self._left = self._next_block()
        data, self._left = self._left[:size], self._left[size:]
        return data

    def _next_block(self) -> bytes:
        began = time.monotonic()
        block = next(self._blocks, b"")
        self._waited += time.monotonic() - began
        self._received += len(block)
        if block and self._waited > _PATIENCE_SECONDS and self._received < _LEAST_RATE * self._waited:
            raise GeminiServiceError(
                f"Source {self._shown!r} has sent {self._received} bytes in {self._waited:.0f} s; a retry may succeed."
            )
        return block

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _address(url: str, allow_private: bool, shown: str) -> str:
    """Return an address of a URL's host; all of its addresses must be public, unless private ones are allowed."""
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise GeminiInputError(f"Source {shown!r} leads to a URL that is not http(s).")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except ValueError as error:
        # Of the port or, as UnicodeError, of the host: no retry makes them possible.
        raise GeminiInputError(f"Source {shown!r} has, or leads to, a host or port that cannot be: {error}.") from error
    except OSError as error:
        raise GeminiServiceError(
            f"Source {shown!r}: the host {parts.hostname!r} cannot be resolved ({error})."
        ) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and not all(map(is_public, addresses)):
        raise GeminiInputError(
            f"Source {shown!r} leads to {parts.hostname!r}, which is not a public address; allow_private_urls=True "
            "permits it."
        )
    return addresses[0]


def is_public(address: str) -> bool:
    """Return whether an address is globally routable; an IPv4 address embedded in IPv6 is unwrapped first."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or _nat64(ip)
        if wrapped:
            return is_public(str(wrapped))
    return ip.is_global and not ip.is_multicast


def _nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    inside = ip in ipaddress.ip_network("64:ff9b::/96")
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if inside else None


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise GeminiInputError(f"Source {url.partition('://')[0]}://... is not a valid URL: {error}.") from error


def _shown(url: str) -> str:
    """Return scheme, host and path of a URL; the rest can be secret."""
    parts = _split(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _name(url: str) -> str:
    """Return the last part of a URL's path, cut to the length of a display name; its suffix is kept."""
    parts = _split(url)
    name = unquote(parts.path.rstrip("/").rpartition("/")[2]) or str(parts.hostname)
    if len(name) <= MAX_DISPLAY_NAME:
        return name
    suffix = PurePosixPath(name).suffix
    suffix = suffix if len(suffix) <= _MAX_SUFFIX else ""
    return f"{name[: MAX_DISPLAY_NAME - len(suffix) - 1]}…{suffix}"
