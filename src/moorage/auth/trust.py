"""Conditions on the claims of a CI job's OIDC token, and when a token fulfils them.

A condition names one claim as a whole and compares its value as a whole. `sub` is never taken apart: what stands in it
is the issuer's affair, changes with its settings, and some of its parts are up to whoever runs the job.

Values of different JSON types are never equal: `true` is not `"true"`, and 1 is not `true`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard
from urllib.parse import urlsplit

from moorage.core.globs import fits

Plain = str | int | float | bool

EQUALS, ONE_OF, GLOB = "equals", "one_of", "glob"

MOST_CONDITIONS = 20
MOST_VALUES = 100
LONGEST = 1024
"""Characters of a value that is compared; a longer one fulfils no glob."""

DEEPEST = 5
"""Names in the path of a claim."""

_ABOUT_THE_TOKEN = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})
_MANY_TENANTS = {
    "token.actions.githubusercontent.com": frozenset(
        {"repository", "repository_id", "repository_owner", "repository_owner_id", "enterprise", "enterprise_id", "sub"}
    ),
    "gitlab.com": frozenset({"project_path", "project_id", "namespace_path", "namespace_id", "sub"}),
}
"""Issuers whose tokens everybody in the world can get, and the claims that say whose job it is."""


_ABOUT_SUB = (
    "A condition on `sub` compares the whole text, whose make-up is up to the issuer and can be changed there; "
    "conditions on single claims say what is meant."
)


class BadCondition(ValueError):
    """A condition that is none, or would let strangers in; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that a token must say.

    Attributes:
        claim: names from the outside to the inside: `("repository",)`, `("kubernetes.io", "namespace")`.
        operator: EQUALS, ONE_OF or GLOB.
        values: what is accepted; one value where the operator is not ONE_OF.
    """

    claim: tuple[str, ...]
    operator: str
    values: tuple[Plain, ...]

    def holds(self, claims: Mapping[str, object]) -> bool:
        """Whether a token with these claims fulfils it."""
        value = claim_at(claims, self.claim)
        if not _is_plain(value):
            return False
        if self.operator == GLOB:
            return isinstance(value, str) and fits_glob(str(self.values[0]), value)
        return any(type(value) is type(wanted) and value == wanted for wanted in self.values)

    def as_json(self) -> dict[str, object]:
        """As it is stored and shown."""
        claim: object = self.claim[0] if len(self.claim) == 1 else list(self.claim)
        return {"claim": claim, self.operator: list(self.values) if self.operator == ONE_OF else self.values[0]}


def looks_like_token(text: str) -> bool:
    """Whether a text is written like a signed token: three parts, the first of them a JSON object."""
    return text.startswith("ey") and text.count(".") == 2


def claim_at(claims: Mapping[str, object], path: Sequence[str]) -> object:
    """The value of a claim by its path; None where it is not there."""
    value: object = claims
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def fits_glob(pattern: str, text: str) -> bool:
    """Whether a whole text of at most `LONGEST` characters fits: see `moorage.core.globs`."""
    return len(text) <= LONGEST and fits(pattern, text)


def parse_conditions(issuer: str, written: object) -> tuple[Condition, ...]:
    """The conditions of a rule for an issuer, from JSON: `[{"claim": "repository", "equals": "acme/app"}, ...]`.

    Raises:
        BadCondition: they cannot be understood, there are none, or they would let anybody in.
    """
    if not isinstance(written, list) or not 1 <= len(written) <= MOST_CONDITIONS:
        raise BadCondition(
            f"A rule needs 1 to {MOST_CONDITIONS} conditions on claims: issuer and audience alone would let in every "
            "job of the issuer."
        )
    conditions = tuple(_condition(entry) for entry in written)
    _check_tenant(issuer, conditions)
    return conditions


def warnings_about(conditions: Sequence[Condition]) -> list[str]:
    """What whoever writes these conditions should think about."""
    if any(condition.claim == ("sub",) for condition in conditions):
        return [_ABOUT_SUB]
    return []


def _condition(entry: object) -> Condition:
    if not isinstance(entry, Mapping):
        raise BadCondition('A condition is written {"claim": NAME, "equals": VALUE}.')
    operators = [name for name in (EQUALS, ONE_OF, GLOB) if name in entry]
    if len(operators) != 1 or set(entry) != {"claim", operators[0]}:
        raise BadCondition("A condition has the member `claim` and exactly one of `equals`, `one_of` and `glob`.")
    operator = operators[0]
    claim = _path(entry["claim"])
    values = _values(operator, entry[operator])
    if claim == ("sub",) and operator == GLOB:
        raise BadCondition("`sub` can be compared as a whole only: use `equals`, or better other claims.")
    return Condition(claim, operator, values)


def _path(written: object) -> tuple[str, ...]:
    names = [written] if isinstance(written, str) else written
    if not isinstance(names, list) or not 1 <= len(names) <= DEEPEST:
        raise BadCondition(f"`claim` is a name, or a list of at most {DEEPEST} names for a claim inside of others.")
    path: list[str] = []
    for name in names:
        if not isinstance(name, str) or not 1 <= len(name) <= 256:
            raise BadCondition("The name of a claim is a text of 1 to 256 characters.")
        path.append(name)
    if len(path) == 1 and path[0] in _ABOUT_THE_TOKEN:
        raise BadCondition(f"A condition on `{path[0]}` says nothing about the job; choose another claim.")
    return tuple(path)


def _values(operator: str, written: object) -> tuple[Plain, ...]:
    values = written if operator == ONE_OF else [written]
    if not isinstance(values, list) or not 1 <= len(values) <= MOST_VALUES:
        raise BadCondition(f"`one_of` takes a list of 1 to {MOST_VALUES} values.")
    found: list[Plain] = []
    for value in values:
        if not _is_plain(value) or value == "":
            raise BadCondition("A claim is compared with a text that is not empty, a number, true or false.")
        if isinstance(value, str) and len(value) > LONGEST:
            raise BadCondition(f"A text to compare with has at most {LONGEST} characters.")
        found.append(value)
    if operator == GLOB:
        if not isinstance(found[0], str):
            raise BadCondition("`glob` takes a text.")
        if not found[0].strip("*/"):
            raise BadCondition("A glob of stars alone says nothing about the job.")
    return tuple(found)


def _check_tenant(issuer: str, conditions: Sequence[Condition]) -> None:
    owners = _MANY_TENANTS.get(urlsplit(issuer).hostname or "")
    if owners is not None and not any(_names_owner(condition, owners) for condition in conditions):
        raise BadCondition(
            f"Everybody can get tokens of {issuer}: one condition must say whose job it is, with one of the claims "
            f"{', '.join(sorted(owners))}; a glob there must begin with a whole name and `/`, such as `acme/*`."
        )


def _names_owner(condition: Condition, owners: frozenset[str]) -> bool:
    if len(condition.claim) != 1 or condition.claim[0] not in owners:
        return False
    return condition.operator != GLOB or "/" in str(condition.values[0]).partition("*")[0][1:]


def _is_plain(value: object) -> TypeGuard[Plain]:
    return isinstance(value, str | int | float | bool)
