"""
The page's files, under addresses that change with their content.

So a browser loads them once, and asks for none of them again until the package is upgraded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_PATHS = sorted((Path(__file__).parent / "static").iterdir())
#: A classic script, which the page runs before its first paint, and types, which only the type checker reads.
_NOT_IMPORTED = ("theme.js", "types.js")


@dataclass(frozen=True)
class StaticFiles:
    """
    All files at one time.

    :param version: of their contents; the same in every process of the API server.
    """

    contents: Mapping[str, bytes]
    version: str

    @classmethod
    def now(cls) -> StaticFiles:
        """Return the files; they are read again if one was edited."""
        return _read(tuple(path.stat().st_mtime_ns for path in _PATHS))

    def page(self, name: str) -> str:
        """Return an HTML file whose links have the version."""
        return self.contents[name].decode().replace('"static/', f'"static/{self.version}/')

    def main_page(self) -> str:
        """Return the page; it has its browser load all modules at once, not each after the one that imports it."""
        modules = [name for name in self.contents if name.endswith(".js") and name not in _NOT_IMPORTED]
        links = "".join(f'<link rel="modulepreload" href="static/{self.version}/{name}" />' for name in modules)
        return self.page("index.html").replace("</head>", f"{links}</head>")


@lru_cache(maxsize=1)
def _read(_: tuple[int, ...]) -> StaticFiles:
    contents = {path.name: path.read_bytes() for path in _PATHS}
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return StaticFiles(contents, digest.hexdigest()[:16])
