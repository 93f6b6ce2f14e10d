"""Sources on the web: streamed, and refused where a URL leads to a network that is not public."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import httpx

from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.transfer.source import Readable, Source, skip

MAX_REDIRECTS = 5
_TIMEOUT_SECONDS = 60
_REDIRECTS = {301, 302, 303, 307, 308}
_BLOCK = 256 * 1024


def find(url: str, *, allow_private: bool) -> Source:
    """
    Return what is at a URL; its bytes are asked for when they are sent.

    :param allow_private: let it lead to addresses that are not public.
    :raises GeminiInputError: where it cannot be had, says no size, or leads where it must not.
    :raises GeminiServiceError: where its server fails.
    """
    shown = _shown(url)
    with _Opened(url, allow_private) as found:
        headers = found.response.headers
        size = headers.get("content-length", "")
        if not size.isdigit():
            raise GeminiInputError(f"Source {shown!r} does not say its size (Content-Length), which an upload needs.")
    version = headers.get("etag") or headers.get("last-modified") or ""

    def open_at(offset: int) -> Readable:
        opened = _Opened(url, allow_private, offset)
        try:
            opened.check(int(size), version)
            # A server that knows no ranges begins anew.
            skip(opened, 0 if opened.response.status_code == 206 else offset)
        except BaseException:
            opened.close()
            raise
        return opened

    # The URL itself, whose query can be a secret, goes into a digest only.
    return Source(shown, _name(url), int(size), fingerprint=(url, size, version), open=open_at)


class _Opened:
    """The answer to a GET, redirects followed, each to an address that was checked."""

    def __init__(self, url: str, allow_private: bool, offset: int = 0) -> None:
        # A proxy would look the name up itself, and the check would be of no use.
        # The certificates that the environment adds are its own affair.
        self._client = httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=httpx.create_ssl_context())
        self._shown = _shown(url)
        self._left = b""
        try:
            self.response = self._follow(url, allow_private, offset)
        except httpx.TransportError as error:
            self.close()
            raise GeminiServiceError(f"Source {self._shown!r} cannot be reached ({type(error).__name__}).") from error
        except BaseException:
            self.close()
            raise
        self._blocks: Iterator[bytes] = self.response.iter_raw(_BLOCK)

    def _follow(self, url: str, allow_private: bool, offset: int) -> httpx.Response:
        for _ in range(MAX_REDIRECTS + 1):
            request = self._request(url, _address(url, allow_private, self._shown), offset)
            response = self._client.send(request, stream=True)
            if response.status_code not in _REDIRECTS or "location" not in response.headers:
                return self._accepted(response)
            response.close()
            url = urljoin(url, response.headers["location"])
        raise GeminiInputError(f"Source {self._shown!r} is redirected more than {MAX_REDIRECTS} times.")

    def _request(self, url: str, address: str, offset: int) -> httpx.Request:
        """Ask the address that was checked, so that the name cannot lead elsewhere meanwhile."""
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
            return response
        said = f"Source {self._shown!r} answers {response.status_code} {response.reason_phrase}"
        if response.status_code in (408, 429) or response.status_code >= 500:
            raise GeminiServiceError(f"{said}; a retry may succeed.")
        raise GeminiInputError(f"{said}.")

    def check(self, size: int, version: str) -> None:
        """Refuse an answer that is another version of the source, or not the part that was asked for."""
        headers = self.response.headers
        if self.response.status_code == 206:
            total = headers.get("content-range", "").rpartition("/")[2]
        else:
            total = headers.get("content-length", "")
        if total != str(size) or (headers.get("etag") or headers.get("last-modified") or "") != version:
            raise GeminiInputError(f"Source {self._shown!r} has changed while it was read; a retry sends it anew.")

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""
        if not self._left:
            self._left = next(self._blocks, b"")
        data, self._left = self._left[:size], self._left[size:]
        return data

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _address(url: str, allow_private: bool, shown: str) -> str:
    """Return an address of a URL's host, all of which must be public unless others are allowed."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise GeminiInputError(f"Source {shown!r} leads to what is no http(s) URL.")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise GeminiServiceError(f"Source {shown!r}: the host {parts.hostname!r} cannot be found ({error}).") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and not all(map(is_public, addresses)):
        raise GeminiInputError(
            f"Source {shown!r} leads to {parts.hostname!r}, which is not a public address; "
            "allow_private_urls=True allows it."
        )
    return addresses[0]


def is_public(address: str) -> bool:
    """Tell whether an IP address can be reached from anywhere; one that wraps another is what it wraps."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or _nat64(ip)
        if wrapped:
            return is_public(str(wrapped))
    return ip.is_global and not ip.is_multicast


def _nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    inside = ip in ipaddress.ip_network("64:ff9b::/96")
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if inside else None


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _name(url: str) -> str:
    parts = urlsplit(url)
    return unquote(parts.path.rstrip("/").rpartition("/")[2]) or str(parts.hostname)
