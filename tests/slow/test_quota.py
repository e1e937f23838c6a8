"""A limit is never passed and no slot is lost, however many processes start servers at once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.slow.conftest import Make
from tests.support.outpost import HubCalls, OutpostProcess

PROCESSES = 8
STARTS = 400
MAX = 50
STOPS = 20

IDLE = 'c.JupyterHubOutpost.spawner_class = "tests.support.zoo.IdleSpawner"\nc.JupyterHubOutpost.log_level = "WARN"\n'
LIMITS = {
    "max": (f'{{"small": {{"max": {MAX}}}}}', f"Only {MAX} servers of the flavor 'small' may run at once"),
    "maxPerUser": (f'{{"small": {{"maxPerUser": {MAX}}}}}', f"You may have only {MAX} servers of the flavor 'small'"),
}
CONFIGS = {
    **{key: (f"c.JupyterHubOutpost.flavors = {flavors}", said) for key, (flavors, said) in LIMITS.items()},
    "flavors_undefined_max": (
        f"c.JupyterHubOutpost.flavors_undefined_max = {MAX}",
        f"Only {MAX} servers without a known flavor may run at once",
    ),
    "global_max_per_user": (
        f"c.JupyterHubOutpost.global_max_per_user = {MAX}",
        f"You may have only {MAX} servers in all at once",
    ),
}


def start_all(outposts: list[OutpostProcess], names: list[str]) -> Counter[str]:
    """Start servers through all processes at once; how often each answer came: ``ok`` or its sentence."""

    def start_some(number: int) -> Counter[str]:
        answers: Counter[str] = Counter()
        with outposts[number].hub() as hub:
            for name in names[number :: len(outposts)]:
                answer = hub.start(name, flavor="small", env={"JUPYTERHUB_USER_ID": "7"})
                answers["ok" if answer.status_code == 200 else answer.json()["args"][0]] += 1
        return answers

    with ThreadPoolExecutor(len(outposts)) as pool:
        return sum(pool.map(start_some, range(len(outposts))), Counter())


@pytest.mark.slow
@pytest.mark.parametrize("limit", CONFIGS)
def test_a_limit_holds_under_concurrency(make: Make, limit: str) -> None:
    lines, sentence = CONFIGS[limit]
    outposts = [make(IDLE + lines) for _ in range(PROCESSES)]
    for outpost in outposts:
        outpost.launch(OUTPOST_LEASE_SECONDS="60")  # nobody dies here, however long a start waits for a processor
    for outpost in outposts:
        outpost.wait()
    answers = start_all(outposts, [f"s{n}" for n in range(STARTS)])
    with outposts[0].hub() as hub:
        assert answers["ok"] == MAX == len(hub.services())
        (refusal,) = [text for text in answers if text != "ok"]
        assert refusal.startswith(sentence)
        assert answers[refusal] == STARTS - MAX
        stop_some(hub, STOPS)
        assert start_all(outposts, [f"again{n}" for n in range(STARTS // 4)])["ok"] == STOPS
        assert len(hub.services()) == MAX


def stop_some(hub: HubCalls, number: int) -> None:
    """Stop so many servers."""
    for service in hub.services()[:number]:
        assert hub.stop(service["name"]).status_code == 200
