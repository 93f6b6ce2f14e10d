"""Detection of text encodings and of media and document formats from the first bytes of a file."""

from __future__ import annotations

import codecs

#: Bytes that are enough to recognise each format here.
HEAD_BYTES = 8 * 1024
#: Bytes in which viewers look for the header of a PDF.
_PDF_HEADER_BYTES = 1024

#: Bytes at the start of a file, and its type; a name without a slash is a format that models do not read.
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"fLaC": "audio/flac",
    b"FLV\x01": "video/x-flv",
    b"ID3": "audio/mpeg",
    b"\x00\x00\x01\xba": "video/mpeg",
    b"\x00\x00\x01\xb3": "video/mpeg",
    bytes.fromhex("3026b2758e66cf11"): "video/wmv",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"\x1f\x8b\x08": "gzip",
    b"BZh": "archive",
    b"\xfd7zXZ\0": "archive",
    b"\x28\xb5\x2f\xfd": "archive",
    b"7z\xbc\xaf\x27\x1c": "archive",
    b"Rar!\x1a\x07": "archive",
    bytes.fromhex("d0cf11e0a1b11ae1"): "office",
}
#: Names of the entries that a zip archive of a document begins with.
_IN_ZIP = {
    b"mimetypeapplication/epub+zip": "epub",
    b"mimetypeapplication/vnd.oasis.opendocument": "opendocument",
    b"word/": "word",
    b"xl/wor": "excel",
    b"ppt/": "powerpoint",
    b"Index/Document.iwa": "iwork",
}
_RIFF = {b"WAVE": "audio/wav", b"AVI ": "video/avi", b"WEBP": "image/webp"}
#: Major brands of ISO media files; all others are MP4.
_BRANDS = {
    b"M4A ": "audio/mp4", b"M4B ": "audio/mp4", b"M4P ": "audio/mp4", b"qt  ": "video/quicktime",
    b"heic": "image/heic", b"heix": "image/heic", b"heim": "image/heic", b"heis": "image/heic",
    b"hevc": "image/heic", b"hevx": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif",
    b"avif": "avif", b"avis": "avif",
}  # fmt: skip
#: Sizes of a bitmap's second header; without them every file that begins with "BM" would be one.
_BITMAP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
#: Bytes of a packet of a transport stream; cameras put four more before each.
_PACKET = 188
#: The control characters that text has: tab, line feeds, form feed, and escape for colours in logs.
_TEXT_CONTROLS = b"\t\n\r\f\x1b"
#: Least share of printable ASCII in text of a western one-byte encoding.
_LEAST_ASCII = 0.5
#: Least share of NUL at every other byte in UTF-16 text without a byte order mark, and the most at the others.
_MANY_NULS, _FEW_NULS = 0.4, 0.05


def is_text(head: bytes) -> bool:
    """Return whether the beginning of a file is UTF-8 text; a character may be cut at the end of it."""
    return b"\0" not in head and invalid_utf8_at(head) is None


def invalid_utf8_at(data: bytes) -> int | None:
    """Return where the beginning of a file stops being UTF-8; None if it is, and a character may be cut at its end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError as error:
        return error.start
    return None


def is_html(head: bytes) -> bool:
    """Return whether the beginning of a file is that of an HTML page."""
    return head.removeprefix(codecs.BOM_UTF8).lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))


def is_pdf(head: bytes) -> bool:
    """Return whether a file begins with the header of a PDF; white space before it is passed over."""
    return head.lstrip().startswith(b"%PDF-")


def has_pdf_header(head: bytes) -> bool:
    """Return whether there is the header of a PDF near the beginning, after bytes that viewers pass over."""
    return b"%PDF-" in head[:_PDF_HEADER_BYTES]


def text_encoding(head: bytes) -> str | None:
    """Return the encoding that text which is not UTF-8 seems to have, or None if it does not look like text."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    even, odd = (_share(head[start::2], b"\0") for start in (0, 1))
    if max(even, odd) >= _MANY_NULS and min(even, odd) <= _FEW_NULS and _looks_like_text(head.replace(b"\0", b"")):
        return "UTF-16"
    if not _looks_like_text(head):
        return None
    # Windows puts letters and punctuation where Latin-1 has control characters.
    return "Windows-1252" if any(0x80 <= byte < 0xA0 for byte in head) else "Latin-1"


def type_of_binary(head: bytes, *, bare_audio: bool = True) -> str | None:
    """
    Return the MIME type of a file that is not text, or the name of a format that models do not read.

    :param bare_audio: also detect MP3 and AAC without a tag; their first three bytes occur in other files by chance.
    """
    found = next((kind for start, kind in _STARTS.items() if head.startswith(start)), None)
    for detect in (_zip, _riff, _iso_media, _matroska, _ogg, _bitmap, _transport_stream, _tar):
        found = found or detect(head)
    return found or (_bare_audio(head) if bare_audio else None)


def _zip(head: bytes) -> str | None:
    if not head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return None
    return next((kind for entry, kind in _IN_ZIP.items() if entry in head), "zip")


def _riff(head: bytes) -> str | None:
    if head.startswith((b"RIFF", b"RF64")):
        return _RIFF.get(head[8:12])
    return "audio/aiff" if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC") else None


def _iso_media(head: bytes) -> str | None:
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        # QuickTime files of before the format had brands.
        return "video/quicktime"
    if head[4:8] != b"ftyp":
        return None
    brand = head[8:12]
    if brand in (b"mif1", b"msf1") and b"avif" in head[16 : int.from_bytes(head[:4])]:
        # Only the other brands of some AVIF images tell them from HEIF.
        return "avif"
    return "video/3gpp" if brand.startswith(b"3g") else _BRANDS.get(brand, "video/mp4")


def _matroska(head: bytes) -> str | None:
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    return "video/webm" if b"webm" in head[:64] else "matroska"


def _ogg(head: bytes) -> str | None:
    if not head.startswith(b"OggS"):
        return None
    return "ogg-video" if b"theora" in head[:512] else "audio/ogg"


def _bitmap(head: bytes) -> str | None:
    size = int.from_bytes(head[14:18], "little")
    return "image/bmp" if head.startswith(b"BM") and head[6:10] == bytes(4) and size in _BITMAP_HEADERS else None


def _transport_stream(head: bytes) -> str | None:
    for size, at in ((_PACKET, 0), (_PACKET + 4, 4)):
        starts = head[at::size]
        if len(starts) > 1 and set(starts) == {0x47}:
            return "transport-stream"
    return None


def _tar(head: bytes) -> str | None:
    return "archive" if head[257:262] == b"ustar" else None


def _bare_audio(head: bytes) -> str | None:
    """Read the first frame header of MPEG audio without a tag, where the layer tells MP3 from AAC."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or _looks_like_text(head):
        return None
    if head[1] & 0xF6 == 0xF0:
        return "audio/aac" if (head[2] >> 2 & 0xF) < 13 else None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bit_rate, sample_rate = head[2] >> 4, head[2] >> 2 & 3
    valid = version != 1 and layer in (1, 2) and bit_rate not in (0, 15) and sample_rate != 3
    return "audio/mpeg" if valid else None


def _looks_like_text(head: bytes) -> bool:
    """Return whether bytes could be text of a one-byte encoding: mostly ASCII, and no control characters."""
    if any(byte < 0x20 and byte not in _TEXT_CONTROLS for byte in head):
        return False
    return sum(0x20 <= byte < 0x7F or byte in _TEXT_CONTROLS for byte in head) >= _LEAST_ASCII * len(head)


def _share(data: bytes, byte: bytes) -> float:
    return data.count(byte) / len(data) if data else 0.0
