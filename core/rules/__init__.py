"""Rule files: which flavors and credits there are, and which hubs and users may use them."""

from core.rules.file import RuleFile
from core.rules.form import CREDITS, FLAVORS, Form
from core.rules.read import BrokenRules, Mistake
from core.rules.resolve import Resolution, Rules, resolve

__all__ = ["CREDITS", "FLAVORS", "BrokenRules", "Form", "Mistake", "Resolution", "RuleFile", "Rules", "resolve"]
