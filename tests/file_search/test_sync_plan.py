"""The plan of a sync: what it does in every case, and that nothing is lost by it."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_gemini_files.file_search.metadata import Origin
from airflow_provider_gemini_files.file_search.resources import Document
from airflow_provider_gemini_files.file_search.sync_plan import SyncPlan, plan_sync

STORE = "fileSearchStores/handbook-1"
OWNER = "prod/dag/sync"
A, B = "s3://handbook/a.md", "s3://handbook/b.md"
NOW = {A: "new"}


def document(
    name: str, state: str = "ACTIVE", fingerprint: str = "new", source: str = A, owner: str = OWNER, age: int = 0
) -> Document:
    """Return a document; ``age`` is the second of its creation."""
    return Document(
        f"{STORE}/documents/{name}",
        state,
        create_time=f"2026-09-22T10:00:{age:02}Z",
        metadata=Origin(source, fingerprint, owner).entries(),
    )


def is_failed(document: Document) -> bool:
    """Return whether a document has failed for good; FAILING ones may recover."""
    return document.state == "FAILED"


def plan(*documents: Document, sources: dict[str, str] | None = None, delete_missing: bool = True) -> SyncPlan:
    fingerprints = NOW if sources is None else sources
    return plan_sync(fingerprints, documents, OWNER, is_failed=is_failed, delete_missing=delete_missing)


def names(documents) -> list[str]:
    return [one.name.rpartition("/")[2] for one in documents]


class TestOneSource:
    def test_source_without_a_document_is_uploaded(self):
        planned = plan()

        assert planned == SyncPlan(uploads=[A], pending=[], deletions=[])
        assert not planned.is_done

    def test_active_document_of_the_present_state_is_unchanged(self):
        planned = plan(document("a"))

        assert (planned.unchanged, planned.is_done) == ({A}, True)

    @pytest.mark.parametrize("state", ["PENDING", "UNSPECIFIED", "FAILING"])
    def test_document_that_may_become_active_is_waited_for(self, state):
        planned = plan(document("a", state))

        assert (names(planned.pending), planned.uploads, planned.deletions) == (["a"], [], [])

    def test_document_that_failed_for_good_is_deleted_and_its_source_uploaded(self):
        planned = plan(document("a", "FAILED"))

        assert (planned.uploads, names(planned.deletions), planned.gone) == ([A], ["a"], 0)

    def test_changed_source_is_uploaded_before_its_former_document_is_deleted(self):
        planned = plan(document("a", fingerprint="old"))

        assert (planned.uploads, planned.replaced, planned.deletions) == ([A], {A}, [])

    @pytest.mark.parametrize("state", ["PENDING", "FAILING"])
    def test_former_document_stays_while_the_new_one_is_not_active(self, state):
        planned = plan(document("a", fingerprint="old"), document("b", state))

        assert (names(planned.pending), planned.replaced, planned.deletions) == (["b"], {A}, [])

    def test_former_document_stays_if_the_new_one_failed_for_good(self):
        planned = plan(document("a", fingerprint="old"), document("b", "FAILED"))

        assert (planned.uploads, names(planned.deletions)) == ([A], ["b"])

    @pytest.mark.parametrize("state", ["ACTIVE", "PENDING", "FAILED"])
    def test_former_documents_go_once_the_new_one_is_active(self, state):
        planned = plan(document("a", state, "older"), document("b", state, "old"), document("c"))

        assert (names(planned.deletions), planned.unchanged, planned.replaced) == (["a", "b"], {A}, set())


class TestDuplicates:
    def test_oldest_of_several_active_documents_stays(self):
        planned = plan(document("a", age=2), document("c", age=1), document("b", age=3))

        assert names(planned.deletions) == ["a", "b"]

    def test_name_decides_between_documents_of_the_same_time(self):
        assert names(plan(document("b"), document("a")).deletions) == ["b"]

    def test_younger_duplicate_is_deleted_though_it_is_pending(self):
        assert names(plan(document("a", age=1), document("b", "PENDING", age=2)).deletions) == ["b"]

    def test_older_duplicate_that_is_pending_is_waited_for_as_another_sync_may_keep_it(self):
        planned = plan(document("a", "PENDING", age=1), document("b", age=2))

        assert (names(planned.pending), planned.deletions, planned.unchanged) == (["a"], [], {A})
        assert planned.uploads == []

    def test_older_duplicate_that_failed_for_good_is_deleted(self):
        assert names(plan(document("a", "FAILED", age=1), document("b", age=2)).deletions) == ["a"]

    def test_oldest_of_several_pending_documents_is_waited_for_and_all_stay(self):
        planned = plan(document("a", "PENDING", age=2), document("b", "PENDING", age=1))

        assert (names(planned.pending), planned.deletions) == (["b"], [])

    def test_two_syncs_keep_the_same_document_whichever_states_each_of_them_sees(self):
        both = [document("a", age=1), document("b", age=2)]
        for first, second in itertools.product(itertools.product(["PENDING", "ACTIVE", "FAILING"], repeat=2), repeat=2):
            # States may change between the lists of the two, which then delete at the same time.
            lists = [
                [replace(one, state=state) for one, state in zip(both, states, strict=True)]
                for states in (first, second)
            ]
            deleted = {name for listed in lists for name in names(plan(*listed).deletions)}

            assert deleted < {"a", "b"}


class TestOthers:
    def test_documents_of_others_are_left_alone(self):
        foreign = Document(f"{STORE}/documents/x", "ACTIVE", metadata={"team": "ops"})
        planned = plan(document("a", owner="another"), document("b", "FAILED", source=B, owner="another"), foreign)

        assert (planned.uploads, planned.deletions, planned.pending) == ([A], [], [])

    def test_documents_of_sources_that_are_gone_are_deleted_in_every_state(self):
        gone = [document(state.lower(), state, source=B) for state in ("ACTIVE", "PENDING", "FAILED")]
        planned = plan(document("a"), *gone)

        assert (names(planned.deletions), planned.gone) == (["active", "failed", "pending"], 3)

    def test_documents_of_sources_that_are_gone_stay_if_wanted(self):
        planned = plan(document("a"), document("b", source=B), delete_missing=False)

        assert (planned.deletions, planned.gone, planned.is_done) == ([], 0, True)

    def test_documents_without_a_source_are_all_deleted(self):
        assert names(plan(document("a"), document("b", source=B), sources={}).deletions) == ["a", "b"]

    def test_document_that_is_listed_twice_is_deleted_once(self):
        planned = plan(document("b", source=B), document("b", source=B), document("a"))

        assert (names(planned.deletions), planned.gone) == (["b"], 1)

    def test_sources_keep_their_order(self):
        sources = {f"s3://handbook/{name}": "new" for name in "dbca"}

        assert plan(sources=sources).uploads == list(sources)


DOCUMENTS = st.lists(
    st.builds(
        document,
        st.sampled_from("abcdefgh"),
        state=st.sampled_from(["ACTIVE", "PENDING", "FAILING", "FAILED"]),
        fingerprint=st.sampled_from(["new", "old", "older"]),
        source=st.sampled_from([A, B, "s3://handbook/gone.md"]),
        owner=st.sampled_from([OWNER, OWNER, OWNER, "another"]),
        age=st.integers(0, 3),
    ),
    max_size=8,
    unique_by=lambda one: one.name,
)
SOURCES = st.sampled_from([{A: "new", B: "new"}, {A: "new", B: "old"}, {A: "older"}, {}])


@given(DOCUMENTS, SOURCES, st.booleans(), st.integers())
@settings(max_examples=300, deadline=None, database=None)
def test_plan_is_the_same_for_any_order_of_documents(documents, sources, delete_missing, seed):
    shuffled = random.Random(seed).sample(documents, len(documents))

    planned = plan(*documents, sources=sources, delete_missing=delete_missing)

    assert plan(*shuffled, sources=sources, delete_missing=delete_missing) == planned


@given(DOCUMENTS, SOURCES, st.booleans())
@settings(max_examples=300, deadline=None, database=None)
def test_nothing_of_a_source_is_deleted_without_an_active_successor(documents, sources, delete_missing):
    planned = plan(*documents, sources=sources, delete_missing=delete_missing)

    left = [one for one in documents if one not in planned.deletions]
    for one in planned.deletions:
        source, fingerprint = one.origin.source, one.origin.fingerprint
        assert one.origin.owner == OWNER
        if source in sources and not (is_failed(one) and fingerprint == sources[source]):
            assert any(
                successor.origin == Origin(source, sources[source], OWNER) and successor.state == "ACTIVE"
                for successor in left
            )
        assert source in sources or delete_missing


@given(DOCUMENTS, SOURCES)
@settings(max_examples=300, deadline=None, database=None)
def test_each_source_is_unchanged_or_waited_for_or_uploaded(documents, sources):
    planned = plan(*documents, sources=sources)

    waited = {one.origin.source for one in planned.pending}
    assert set(planned.uploads) | waited | planned.unchanged == sources.keys()
    assert not set(planned.uploads) & (waited | planned.unchanged)
    assert not {one.name for one in planned.pending} & {one.name for one in planned.deletions}


@given(DOCUMENTS, SOURCES)
@settings(max_examples=300, deadline=None, database=None)
def test_plan_ends_once_every_step_has_succeeded(documents, sources):
    left = list(documents)
    for step in range(4):
        planned = plan(*left, sources=sources)
        if planned.is_done:
            break
        left = [one for one in left if one not in planned.deletions]
        left = [replace(one, state="ACTIVE") if one in planned.pending else one for one in left]
        left += [document(f"n{step}{n}", "ACTIVE", sources[uri], uri) for n, uri in enumerate(planned.uploads)]

    assert planned.is_done
    own = [one.origin for one in left if one.origin.owner == OWNER]
    assert sorted((one.source, one.fingerprint) for one in own) == sorted(sources.items())
