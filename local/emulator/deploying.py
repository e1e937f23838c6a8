"""From template.yaml to what runs, as an operator does it: configure, migrate, deploy."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError

from local.aws.function import Function
from local.aws.runtime_api import Answer
from local.emulator.account import Account
from local.emulator.checks import check_handlers, check_schedules
from local.emulator.deployed import Deployed, Manner, waited_for
from local.emulator.environment import Environment, parameter_defaults
from local.emulator.errors import EmulatorError
from local.emulator.options import Options
from local.emulator.report import Report
from local.template import Deployment, FunctionResource, TemplateError, read_deployment

MIGRATE = "MigrateFunction"
"""The function that is invoked before a deployment is used; a template need not have it."""


class Deployer:
    """Reads the template, as often as it is asked to."""

    def __init__(
        self, options: Options, account: Account, environment: Environment, manner: Manner, report: Report
    ) -> None:
        self._options = options
        self._account = account
        self._environment = environment
        self._manner = manner
        self._report = report

    def read(self) -> Deployment:
        """The deployment as it is to be now. Raises ``EmulatorError``."""
        try:
            deployment = read_deployment(
                self._options.template,
                self._options.parameters,
                self._account.site,
                defaults=parameter_defaults(self._options),
            )
            check_schedules(deployment)
        except TemplateError as error:
            raise EmulatorError(str(error)) from None
        self._environment.check(deployment)
        check_handlers(deployment)
        return deployment

    def start(self, deployment: Deployment, deployed: Deployed) -> None:
        """Run it for the first time. Raises ``EmulatorError`` when what people wait for does not come up."""
        self._configure(deployment)
        deployed.deploy_functions(deployment)
        with ThreadPoolExecutor(1) as pool:
            coming_up = pool.submit(deployed.initialise, deployment)
            self._migrate(deployment)
            failed = coming_up.result()
        for logical_id, answer in failed.items():
            raise EmulatorError(_failure(logical_id, answer, deployed.functions[logical_id]))
        deployed.invoke_by_events(deployment)

    def replace(self, deployment: Deployment, deployed: Deployed) -> None:
        """Run it instead of what runs. Raises ``EmulatorError`` when that would not work, and what runs goes on."""
        self._configure(deployment)
        self._migrate(deployment)
        for resource in waited_for(deployment):
            self._try(resource, Function.initialise)
        deployed.deploy_functions(deployment)
        deployed.invoke_by_events(deployment)

    def _configure(self, deployment: Deployment) -> None:
        try:
            for name, text in self._environment.secrets().items():
                self._account.put_secret(name, text)
            self._account.put_queues(deployment)
        except (BotoCoreError, ClientError) as error:
            raise EmulatorError(" ".join(str(error).split())) from None

    def _migrate(self, deployment: Deployment) -> None:
        resource = deployment.functions.get(MIGRATE)
        if resource is not None and resource.is_switched_off:
            why = "has ReservedConcurrentExecutions: 0, so it is not invoked, and the database stays as it is"
            self._report.trouble(f"{resource.place}: {MIGRATE} {why}")
        elif resource is not None:
            self._try(resource, lambda function: function.invoke({}))

    def _try(self, resource: FunctionResource, what: Callable[[Function], Answer | None]) -> None:
        """With a function of its own."""
        function = self._manner.function(resource)
        try:
            answer = what(function)
        finally:
            function.close()
        if answer and answer.error:
            raise EmulatorError(_failure(resource.logical_id, answer, function))


def _failure(logical_id: str, answer: Answer, function: Function) -> str:
    """One line on a function that failed."""
    message = " ".join(answer.described("errorMessage").split())
    return f"{logical_id} failed: {answer.described('errorType')}: {message} (its log is {function.definition.log})"
