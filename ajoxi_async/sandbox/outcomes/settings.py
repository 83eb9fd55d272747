"""The settings of a world: the people it calls, its lines and its agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, fields_dict, frozen

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox.outcomes.population import Population

__all__ = ["Settings", "changed"]


@frozen(kw_only=True)
class Settings:
    """The settings of a world. By default, lines and agents are unlimited.

    Attributes:
        population: how calls to ordinary numbers end.
        capacity: how many outbound calls may ring at a time; further ones stay queued, first come, first served. ``None`` for
            no limit.
        agents: how many agents talk to the people that campaigns reach; ``None`` for as many as are needed. See `pacing`.
        lines_per_agent: how many calls of ``power`` campaigns ring for each free agent.
        answer_rate: the share of calls that ``predictive`` campaigns expect to be answered, above 0, 1 at most.

    Raises:
        InvalidParameterError: a setting is out of its range; the error names it.
    """

    population: Population = field(factory=Population)
    capacity: int | None = None
    agents: int | None = None
    lines_per_agent: int = 1
    answer_rate: float = 0.7

    def __attrs_post_init__(self) -> None:
        for name, least in (("capacity", 1), ("agents", 0)):
            value = getattr(self, name)
            right = value is None or (type(value) is int and value >= least)
            _check(name, right, f"expected {least} or more, or nothing for no limit", value)
        lines, rate = self.lines_per_agent, self.answer_rate
        _check("lines_per_agent", type(lines) is int and lines >= 1, "expected 1 or more", lines)
        _check("answer_rate", type(rate) in {int, float} and 0 < rate <= 1, "expected above 0, 1 at most", rate)
        _check("population", isinstance(self.population, Population), "expected a Population", self.population)


def changed(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """A copy of settings in which those in `given` are replaced; a population may be given as a mapping of its fields.

    Raises:
        InvalidParameterError: there is no such setting, or it is out of its range; the error names it.
    """
    names = fields_dict(Settings)
    for name in given:
        if name not in names:
            raise InvalidParameterError(name[:100], f"no such setting; expected {', '.join(names)}")
    population = given.get("population")
    if isinstance(population, Mapping):
        shares = fields_dict(Population)
        for name in population:
            if name not in shares:
                raise InvalidParameterError(
                    f"population.{str(name)[:100]}", f"no such share; expected {', '.join(shares)}"
                )
        given = {**given, "population": evolve(settings.population, **population)}
    return evolve(settings, **given)


def _check(name: str, right: bool, why: str, value: object) -> None:
    if not right:
        raise InvalidParameterError(name, f"{why}, got {str(value)[:40]!r}")
