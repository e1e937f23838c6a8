"""Bodies: whatever JSON comes, it fits or it is refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.model import NewService
from handlers.schemas import StartBody

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["name", "env", "user_options", "misc", "certs", "internal_trust_bundles", "authentication", "flavor", "x"]
BODIES = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)


def accepted(body: object) -> NewService | None:
    """The service that a body asks for, or None when it is refused."""
    try:
        return StartBody.model_validate(body).new_service("hub", {})
    except (ValidationError, ValueError):
        return None


@given(body=BODIES)
def test_a_body_fits_or_is_refused(body: dict[str, object]) -> None:
    new = accepted(body)
    if new is not None:
        assert new.identity.hub == "hub"
        assert all(isinstance(value, str) for value in new.body.env.values())
        assert new.identity.start_id


@given(name=TEXT, start_id=TEXT.filter(bool), flavor=TEXT.filter(bool), env=st.dictionaries(TEXT, TEXT, max_size=4))
def test_what_a_hub_sends_is_what_the_service_gets(name: str, start_id: str, flavor: str, env: dict[str, str]) -> None:
    options = {"start_id": start_id, "flavor": flavor, "other": [1, {"a": None}]}
    new = accepted({"name": name, "env": env, "user_options": options})
    assert new is not None
    assert (new.identity.name, new.identity.start_id, new.flavor) == (name, start_id, flavor)
    assert new.body.env == env
    assert new.body.user_options == {"flavor": flavor, "other": [1, {"a": None}]}
    assert new.user_id == env.get("JUPYTERHUB_USER_ID", "0") or not env["JUPYTERHUB_USER_ID"]
