"""Nothing is left behind by all scenarios together."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable

from cluster.deployment import Cluster
from scenario import API_KEY, Services

from airflow_provider_gemini_files.emulator import GeminiEmulator


def test_nothing_is_doubled(services: Services, figures: Callable[[str], None]):
    """No file was sent twice:"""
    files = [names for service in services.by_connection.values() for names in names_by_owner(service).values()]
    twice = [names for names in files if len(names) > 1]
    figures(f"{len(files)} files over {len(services.by_connection)} connections, {len(twice)} of them twice")
    assert twice == []
    assert files


def names_by_owner(service: GeminiEmulator) -> dict[str, set[str]]:
    """Return the names of uploaded files by display name, which names the owning task instance and the source."""
    names = defaultdict(set)
    for entry in service.journal:
        # What a scenario has uploaded by itself has no owner, and no display name.
        if entry["call"] == "start" and entry["status"] == 200 and "displayName" in entry["body"]["file"]:
            names[entry["body"]["file"]["displayName"]].add(entry["body"]["file"]["name"])
    return names


def test_key_is_nowhere(cluster: Cluster, figures: Callable[[str], None]):
    """The API key in database, Redis and logs:"""
    database, redis = cluster.postgres.dump().encode(), cluster.redis.dump()
    files = [path for path in cluster.home.rglob("*") if path.is_file() and path.parts[-2:] != ("redis", "dump.rdb")]
    searched = {"database": database, "Redis": redis} | {str(path): path.read_bytes() for path in files}

    found = [place for place, content in searched.items() if any(form in content for form in forms(API_KEY))]

    sizes = f"{len(database) / 1e6:.1f} MB of database, {len(redis) / 1e3:.0f} kB of Redis and {len(files)} files"
    figures(f"found in {len(found)} places of {sizes}")
    assert found == []
    assert b"gemini_default" in database
    assert len(files) > 100


def forms(secret: str) -> list[bytes]:
    """Return a secret as it is, and its part that is the same in base64 at each of the three alignments."""
    coded = [base64.b64encode(b" " * shift + secret.encode()) for shift in range(3)]
    return [secret.encode(), *(text[4:-4] for text in coded)]
