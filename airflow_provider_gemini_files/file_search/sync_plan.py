"""What a sync has to do: one plan from the sources and the documents that a store has now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_gemini_files.file_search.resources import Document


@dataclass(frozen=True)
class SyncPlan:
    """
    The next steps; when they are done, the plan is made again, until there are none.

    :param uploads: sources that have no document of their present state.
    :param pending: documents to wait for.
    :param deletions: documents that no question needs any more.
    :param unchanged: sources whose document is ACTIVE and has their present state, or a newer one.
    :param gone: number of :attr:`deletions` whose source is gone.
    :param unlisted: number of documents that were added, and are not in the list of documents yet.
    :param replaced: sources of :attr:`uploads` and :attr:`pending` that have an older document.
    """

    uploads: Sequence[str] = ()
    pending: Sequence[Document] = ()
    deletions: Sequence[Document] = ()
    unchanged: frozenset[str] = frozenset()
    replaced: frozenset[str] = frozenset()
    gone: int = 0
    unlisted: int = 0

    @property
    def is_done(self) -> bool:
        """Return whether the store is in step with the sources."""
        return not (self.uploads or self.pending or self.deletions or self.unlisted)


@dataclass
class _Existing:
    """The documents of one source."""

    right: list[Document] = field(default_factory=list)
    failed: list[Document] = field(default_factory=list)
    old: list[Document] = field(default_factory=list)


def plan_sync(
    fingerprints: Mapping[str, str],
    documents: Iterable[Document],
    owner: str,
    *,
    is_failed: Callable[[Document], bool],
    is_newer: Callable[[Document], bool] = lambda _: False,
    delete_missing: bool = True,
) -> SyncPlan:
    """
    Plan the next steps of a sync.

    A document is deleted only if its source is gone, if it has failed for good, or if another document of the source's
    present state is ACTIVE: a question always finds one. Of several documents of the same state, the oldest stays: two
    syncs at once keep the same one, whichever of them sees it first as ACTIVE.

    :param fingerprints: the present fingerprint of each source, by its URI.
    :param documents: all documents of the store; those of other owners are left alone.
    :param is_failed: whether a document of the present state cannot be used, such as one that has been FAILED for long.
    :param is_newer: whether a document was made after the sources were looked at. Another sync has then seen a newer
        state of its source: it stays, and this sync leaves the source alone.
    """
    existing: dict[str, _Existing] = {}
    deletions: list[Document] = []
    newer: set[str] = set()
    for document in documents:
        origin = document.origin
        if origin is None or origin.owner != owner:
            continue
        if origin.source not in fingerprints:
            deletions += [document] if delete_missing and not is_newer(document) else []
            continue
        of_source = existing.setdefault(origin.source, _Existing())
        if origin.fingerprint == fingerprints[origin.source]:
            (of_source.failed if is_failed(document) else of_source.right).append(document)
        elif is_newer(document):
            newer.add(origin.source)
        else:
            of_source.old.append(document)
    gone = len({document.name for document in deletions})
    uploads: list[str] = []
    pending: list[Document] = []
    unchanged = set(newer)
    for source in (source for source in fingerprints if source not in newer):
        found = existing.get(source, _Existing())
        deletions += found.failed
        active = _first(document for document in found.right if document.state == "ACTIVE")
        # An older duplicate may become ACTIVE at any moment, and would then be the one that another sync keeps.
        waiting = [one for one in found.right if one.state != "ACTIVE" and (not active or _age(one) < _age(active))]
        if active:
            unchanged.add(source)
            deletions += [*found.old, *(one for one in found.right if _age(one) > _age(active))]
        if waiting:
            pending.append(min(waiting, key=_age))
        elif not active:
            uploads.append(source)
    replaced = frozenset(source for source, found in existing.items() if source not in unchanged and found.old)
    return SyncPlan(uploads, pending, _distinct(deletions), frozenset(unchanged), replaced, gone)


def _distinct(deletions: Sequence[Document]) -> list[Document]:
    """Return deletions once each, in a stable order."""
    return sorted({document.name: document for document in deletions}.values(), key=lambda document: document.name)


def _first(documents: Iterable[Document]) -> Document | None:
    return min(documents, key=_age, default=None)


def _age(document: Document) -> tuple[float, str]:
    return document.created_at() or 0.0, document.name
