"""From template.yaml to what runs, as an operator does it: configure, migrate, deploy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from local.aws.function import Function
from local.aws.runtime_api import Answer
from local.emulator.account import Account
from local.emulator.deployed import Deployed, Manner
from local.emulator.environment import SECRET_NAME, Environment, parameter_defaults
from local.emulator.errors import EmulatorError
from local.emulator.handlers import check_handlers
from local.emulator.options import Options
from local.template import Deployment, TemplateError, read_deployment

MIGRATE = "MigrateFunction"
"""The function that is invoked before a deployment is used; a template need not have it."""


class Deployer:
    """Reads the template, as often as it is asked to."""

    def __init__(self, options: Options, account: Account, environment: Environment, manner: Manner) -> None:
        self._options = options
        self._account = account
        self._environment = environment
        self._manner = manner

    def read(self) -> Deployment:
        """The deployment as it is to be now. Raises ``EmulatorError``."""
        try:
            deployment = read_deployment(
                self._options.template,
                self._options.parameters,
                self._account.site,
                defaults=parameter_defaults(self._options),
            )
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
        self._insist(deployed, failed)
        deployed.invoke_by_events(deployment)

    def replace(self, deployment: Deployment, deployed: Deployed) -> None:
        """Run it instead of what runs, as soon as the database is as it needs it. Raises ``EmulatorError``."""
        self._configure(deployment)
        self._migrate(deployment)
        deployed.deploy_functions(deployment)
        deployed.invoke_by_events(deployment)
        self._insist(deployed, deployed.initialise(deployment))

    def _configure(self, deployment: Deployment) -> None:
        self._account.put_secret(SECRET_NAME, self._environment.secret())
        self._account.put_queues(deployment)

    def _migrate(self, deployment: Deployment) -> None:
        resource = deployment.functions.get(MIGRATE)
        if resource is None:
            return
        function = self._manner.function(resource)
        try:
            answer = function.invoke({})
        finally:
            function.close()
        if answer.error:
            raise EmulatorError(_failure(MIGRATE, answer, function))

    @staticmethod
    def _insist(deployed: Deployed, failed: dict[str, Answer]) -> None:
        for logical_id, answer in failed.items():
            raise EmulatorError(_failure(logical_id, answer, deployed.functions[logical_id]))


def _failure(logical_id: str, answer: Answer, function: Function) -> str:
    """One line on a function that failed."""
    message = " ".join(answer.described("errorMessage").split())
    return f"{logical_id} failed: {answer.described('errorType')}: {message} (its log is {function.definition.log})"
