"""template.yaml as the emulator understands it: ``read_deployment``."""

from local.template.deployment import (
    Deployment,
    FunctionResource,
    HttpApi,
    HttpRoute,
    QueueResource,
    QueueSource,
    ScheduleSource,
    Site,
    TemplateError,
)
from local.template.reader import read_deployment

__all__ = [
    "Deployment",
    "FunctionResource",
    "HttpApi",
    "HttpRoute",
    "QueueResource",
    "QueueSource",
    "ScheduleSource",
    "Site",
    "TemplateError",
    "read_deployment",
]
