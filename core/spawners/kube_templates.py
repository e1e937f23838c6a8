"""Two more fields for KubeSpawner's templates, which know no hub: ``{hub}`` and ``{start_id}``."""

from __future__ import annotations

import re

from kubespawner.slugs import escape_slug, safe_slug

_LONGEST = 48
"""Characters of a slug, as in KubeSpawner."""

_PART_OF_A_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


class Template(str):
    """A template that KubeSpawner formats with its own fields."""

    _more: dict[str, str]

    def __new__(cls, template: str, hub: str, start_id: str, slug_scheme: str) -> Template:
        """``slug_scheme`` is KubeSpawner's, ``safe`` or ``escape``."""
        made = super().__new__(cls, template)
        is_safe = slug_scheme == "safe"
        made._more = {
            "hub": safe_slug(hub, max_length=_LONGEST) if is_safe else escape_slug(hub),
            "start_id": safe_slug(start_id, _is_part_of_a_name, _LONGEST) if is_safe else escape_slug(start_id),
        }
        return made

    def format(self, *values: object, **fields: object) -> str:
        """With the fields that only Outpost knows."""
        return super().format(*values, **fields | self._more)


def advice(hub: str, is_sent: bool) -> str:
    """Who is to set what; ``is_sent``: the hub has sent the template, which goes before the configuration."""
    where, example = "set c.KubeSpawner.pod_name_template", "jupyter-{hub}--{user_server}"
    if is_sent:  # the hub expands it too, and does not know {hub}
        where = f"the hub {hub} sends the template for it, so set c.OutpostSpawner.svc_name_template there"
        example = f"jupyter-{safe_slug(hub, max_length=_LONGEST)}-{{username}}--{{servername}}"
    return f'{where} so that no two servers have the same name, for example to "{example}"'


def _is_part_of_a_name(text: str) -> bool:
    """Most start ids are hexadecimal, and may begin with a digit: no name begins with them."""
    return _PART_OF_A_NAME.fullmatch(text) is not None
