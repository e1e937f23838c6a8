"""From template.yaml to what runs, as an operator does it: configure, migrate, deploy."""

from __future__ import annotations

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

    def prepare(self, deployment: Deployment) -> None:
        """Secret, queues and database as it needs them. Raises ``EmulatorError`` when the database cannot be used."""
        self._account.put_secret(SECRET_NAME, self._environment.secret())
        self._account.put_queues(deployment)
        resource = deployment.functions.get(MIGRATE)
        if resource is None:
            return
        function = self._manner.function(resource)
        try:
            answer = function.invoke({})
        finally:
            function.close()
        if answer.error:
            raise EmulatorError(failure(MIGRATE, answer, function))


def start(deployed: Deployed, deployment: Deployment) -> None:
    """Run it for the first time. Raises ``EmulatorError`` when a function that people wait for does not come up."""
    try:
        deployed.deploy(deployment)
    except TemplateError as error:  # a schedule
        raise EmulatorError(str(error)) from None
    for logical_id, answer in deployed.initialise().items():
        raise EmulatorError(failure(logical_id, answer, deployed.functions[logical_id]))


def failure(logical_id: str, answer: Answer, function: Function) -> str:
    """One line on a function that failed."""
    message = " ".join(answer.described("errorMessage").split())
    return f"{logical_id} failed: {answer.described('errorType')}: {message} (its log is {function.definition.log})"
