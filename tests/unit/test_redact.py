"""No secret in what is written."""

from __future__ import annotations

import asyncio
import logging

from core.model import Body, Inputs
from core.redact import HIDDEN, RedactingFormatter, hide, redact, secrets_of

BODY = Body(
    env={"JUPYTERHUB_API_TOKEN": "env-token", "DB_PASSWORD": "env-password", "LANG": "C.UTF-8-long"},
    user_options={"nested": [{"client_secret": "nested-secret"}], "image": "plain-image"},
    misc={"environment": {"API_KEY": "misc-api-key"}},
)
INPUTS = Inputs(certs={"keyfile": "-----BEGIN-----\nkeyline\n"}, auth_state={"any": "auth-state-value"})


async def test_all_secrets_of_a_service_are_hidden_and_nothing_else() -> None:
    hide(secrets_of(BODY, INPUTS))
    for secret in ("env-token", "env-password", "nested-secret", "misc-api-key", "keyline", "auth-state-value"):
        assert redact(f"<{secret}>") == f"<{HIDDEN}>"
    assert redact("C.UTF-8-long plain-image") == "C.UTF-8-long plain-image"


async def test_one_tasks_secrets_are_not_another_ones() -> None:
    async def operation(secret: str) -> str:
        hide([secret])
        await asyncio.sleep(0)
        return redact("first-secret second-secret")

    first, second = await asyncio.gather(operation("first-secret"), operation("second-secret"))
    assert (first, second) == (f"{HIDDEN} second-secret", f"first-secret {HIDDEN}")


async def test_a_secret_that_holds_another_one_goes_whole() -> None:
    hide(["secret-token", "secret-token-and-more"])
    assert redact("secret-token-and-more") == HIDDEN


async def test_a_short_value_does_not_blank_out_the_log() -> None:
    hide(["a", "true"])
    assert redact("a true story") == "a true story"


async def test_tracebacks_in_the_log_are_redacted_too() -> None:
    hide(["the-secret"])
    try:
        raise ValueError("no: the-secret")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "said %s", ("the-secret",), info)
    text = RedactingFormatter(logging.Formatter()).format(record)
    assert "the-secret" not in text
    assert text.count(HIDDEN) >= 2
