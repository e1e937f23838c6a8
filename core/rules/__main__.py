"""``python -m core.rules [flavors|credits]``: the JSON schema of that file, as it stands in ``docs/``."""

from __future__ import annotations

import json
import sys

from core.rules.form import CREDITS, FLAVORS, Form


def schema(form: Form) -> str:
    """The JSON schema of a file of that form, as text."""
    described = form.model.model_json_schema(by_alias=True)
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(described, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    forms = {form.key: form for form in (FLAVORS, CREDITS)}
    chosen = sys.argv[1] if len(sys.argv) > 1 else FLAVORS.key
    if chosen not in forms:
        sys.exit(f"{chosen}: there is a schema for {' and '.join(forms)}")
    sys.stdout.write(schema(forms[chosen]))
