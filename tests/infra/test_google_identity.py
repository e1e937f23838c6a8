"""Who may call functions on Google Cloud: tokens with real signatures, certificates from a server."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from google.oauth2 import id_token

from infra.google_identity import (
    CallerCheck,
    CertificatesUnavailable,
    NotAllowed,
    Unidentified,
)
from tests.support import google
from tests.support.clock import Clock
from tests.support.google import CERTIFICATES, Google

AUDIENCE = "https://worker.example"
CALLER = "scheduler@tests.iam.gserviceaccount.com"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """Whose tokens are Google's."""
    with google.server() as running:
        monkeypatch.setattr(id_token, "_GOOGLE_OAUTH2_CERTS_URL", running.url + CERTIFICATES)
        yield running


@pytest.fixture
def check(issuer: Google, clock: Clock) -> CallerCheck:
    """Of a function that has two audiences and one caller."""
    return CallerCheck(["https://other.example", AUDIENCE], [CALLER], clock)


def test_a_token_of_the_caller_for_an_audience_is_accepted(issuer: Google, check: CallerCheck) -> None:
    token = issuer.identity_token(AUDIENCE, CALLER)
    assert check.check(f"Bearer {token}") == CALLER
    assert check.check(f"bearer  {token} ") == CALLER


def unsigned(token: str, algorithm: str) -> str:
    """The same claims, with a header that says so and no signature."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "the key of the tests"}).encode())
    return f"{header.decode().rstrip('=')}.{token.split('.')[1]}."


WRONG_CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600}, "has expired"),
    "from the future": ({"iat": int(time.time()) + 3600, "exp": int(time.time()) + 7200}, "not valid yet"),
    "for another audience": ({"aud": "https://elsewhere.example"}, "another audience"),
    "for many audiences": ({"aud": [AUDIENCE]}, "no ID token|another audience"),
    "of another issuer": ({"iss": "https://accounts.example"}, "not issued by Google"),
    "without a verified e-mail address": ({"email_verified": False}, "no verified e-mail"),
    "with a word for a verified e-mail address": ({"email_verified": "true"}, "no verified e-mail"),
    "without an end": ({"exp": None}, "no ID token"),
}


@pytest.mark.parametrize(("claims", "reason"), WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
def test_a_token_with_wrong_claims_identifies_nobody(
    issuer: Google, check: CallerCheck, claims: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unidentified, match=reason):
        check.check(f"Bearer {issuer.identity_token(AUDIENCE, CALLER, **claims)}")


def test_another_account_of_google_is_known_and_not_allowed(issuer: Google, check: CallerCheck) -> None:
    stranger = "stranger@elsewhere.iam.gserviceaccount.com"
    with pytest.raises(NotAllowed, match=f"{stranger} is not among"):
        check.check(f"Bearer {issuer.identity_token(AUDIENCE, stranger)}")


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "RS256", "ES256"])
def test_an_unsigned_token_identifies_nobody(issuer: Google, check: CallerCheck, algorithm: str) -> None:
    with pytest.raises(Unidentified, match="not signed with a key of Google's"):
        check.check(f"Bearer {unsigned(issuer.identity_token(AUDIENCE, CALLER), algorithm)}")


def test_a_token_signed_with_another_key_identifies_nobody(check: CallerCheck) -> None:
    with google.server() as impostor:
        forged = impostor.identity_token(AUDIENCE, CALLER)
    with pytest.raises(Unidentified, match="not signed with a key of Google's"):
        check.check(f"Bearer {forged}")


def test_changed_claims_identify_nobody(issuer: Google, check: CallerCheck) -> None:
    header, _, signature = issuer.identity_token(AUDIENCE, "stranger@tests").split(".")
    claims = issuer.identity_token(AUDIENCE, CALLER).split(".")[1]
    with pytest.raises(Unidentified, match="not signed with a key of Google's"):
        check.check(f"Bearer {header}.{claims}.{signature}")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic aHViMTpwdw==", "Bearer x", "Bearer a.b.c", "Bearer ü.ü.ü", "Bearer ..."]
)
def test_what_is_no_token_identifies_nobody_and_is_not_repeated(check: CallerCheck, header: str) -> None:
    with pytest.raises(Unidentified) as refused:
        check.check(header)
    given = header.partition(" ")[2]
    assert len(given) < 3 or given not in str(refused.value)


def test_a_token_that_cloud_run_has_checked_itself_is_refused_with_the_remedy(
    issuer: Google, check: CallerCheck
) -> None:
    signed = issuer.identity_token(AUDIENCE, CALLER).rpartition(".")[0]
    with pytest.raises(Unidentified, match="leave OUTPOST_OIDC_AUDIENCE unset"):
        check.check(f"Bearer {signed}.SIGNATURE_REMOVED_BY_GOOGLE")


def test_certificates_are_fetched_once_an_hour(issuer: Google, check: CallerCheck, clock: Clock) -> None:
    for _ in range(3):
        check.check(f"Bearer {issuer.identity_token(AUDIENCE, CALLER)}")
    assert issuer.seen.count(CERTIFICATES) == 1
    clock.forward(hours=1, seconds=1)
    check.check(f"Bearer {issuer.identity_token(AUDIENCE, CALLER)}")
    assert issuer.seen.count(CERTIFICATES) == 2


def test_an_unknown_key_has_certificates_fetched_again_but_not_by_everybody_who_makes_one_up(
    issuer: Google, check: CallerCheck, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    check.check(f"Bearer {issuer.identity_token(AUDIENCE, CALLER)}")
    monkeypatch.setattr(google, "_KEY_ID", "the next key")
    token = issuer.identity_token(AUDIENCE, CALLER)
    for _ in range(5):
        with pytest.raises(Unidentified):
            check.check(f"Bearer {token}")
    assert issuer.seen.count(CERTIFICATES) == 1
    clock.forward(minutes=1)
    assert check.check(f"Bearer {token}") == CALLER


def test_certificates_stay_in_force_while_google_is_away(
    issuer: Google, check: CallerCheck, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.identity_token(AUDIENCE, CALLER)
    check.check(f"Bearer {token}")
    monkeypatch.setattr(id_token, "_GOOGLE_OAUTH2_CERTS_URL", issuer.url + "/nothing/here")
    clock.forward(hours=1, seconds=1)
    assert check.check(f"Bearer {token}") == CALLER


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/certs", "{url}/nothing/here"])
def test_without_any_certificates_nobody_is_let_in(
    issuer: Google, check: CallerCheck, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(id_token, "_GOOGLE_OAUTH2_CERTS_URL", url.format(url=issuer.url))
    with pytest.raises(CertificatesUnavailable):
        check.check(f"Bearer {issuer.identity_token(AUDIENCE, CALLER)}")
