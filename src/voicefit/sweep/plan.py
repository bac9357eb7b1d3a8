"""A TOML plan and the trials that it stands for."""

import contextlib
import copy
import difflib
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product, starmap
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from voicefit.adaptation import METHODS
from voicefit.corpora import CORPORA, Corpus
from voicefit.encoders import Encoder, Reading, load_encoder
from voicefit.errors import VoicefitError
from voicefit.prefinetuning.settings import PAPER, PrefinetuneSettings
from voicefit.sweep.cells import Cells, find_cells
from voicefit.sweep.episodes import ONE_VS_REST
from voicefit.sweep.plan_paths import Paths, set_paths
from voicefit.sweep.planned_method import PlannedMethod, read_planned_method
from voicefit.sweep.presets import find_preset, preset_names
from voicefit.sweep.specs import StartId, TrialSpec, digest
from voicefit.system.settings import Settings, unknown_name

NONE = "none"
"""The start without pre-finetuning."""

_NAME = re.compile(r"\w[\w.-]*")
_GROUPS = (NONE, "all", "singles", "subsets")


class EncoderPlan(Reading):
    """One encoder of a plan and how it is read."""

    source: str = Field(description="hub id or directory")
    prefinetune: dict[str, Any] = Field({}, description="what differs from the plan's settings of pre-finetuning")

    @property
    def reading(self) -> Reading:
        """How it is read."""
        return Reading(**{name: getattr(self, name) for name in Reading.model_fields})

    def load(self) -> Encoder:
        """Load the encoder before pre-finetuning."""
        return load_encoder(self.source, self.reading)


class Grid(Settings):
    """A block of trials: every combination of what its lists name."""

    starts: list[str] = Field(
        ["none", "all"],
        min_length=1,
        description="none, corpora joined by +, `all`, `singles`, or `subsets`: every one that is not empty",
    )
    encoders: list[str] | None = Field(None, min_length=1, description="encoders of the plan; all of them if left out")
    methods: list[str] = Field(
        ["head", "prototype"], min_length=1, description="methods, by their own name or by the plan's"
    )
    tasks: list[Literal["one-vs-rest", "multiclass"]] = Field(
        [ONE_VS_REST], min_length=1, description="one label against the rest, or all of a speaker's at once"
    )
    k: list[Annotated[int, Field(ge=2)]] = Field(
        [2, 4, 8, 16, 32, 64], min_length=1, description="labelled clips of a trial, over all its labels"
    )
    draws: int = Field(10, ge=1, description="how many times the labelled clips are drawn")
    speakers: list[str] | None = Field(None, description="speakers of the targets; all of them if left out")
    labels: list[str] | None = Field(None, description="those to tell from the rest; all if left out")


class Plan(Settings):
    """A sweep: which encoders, corpora and targets, and which trials of them."""

    protocol: Literal["clean", "paper"] = Field("clean", description="the defaults of everything below")
    seed: int = Field(0, description="fixes everything that is drawn at random")
    encoders: dict[str, EncoderPlan] = Field(min_length=1, description="a table for each, under a name of yours")
    corpora: dict[str, str] = Field({}, description="pre-finetuning corpus = path")
    targets: dict[str, str] = Field(min_length=1, description="target corpus = path")
    grid: list[Grid] = Field(min_length=1, description="blocks of trials; write [[grid]] once for each")
    prefinetune: dict[str, Any] = Field({}, description="what differs from the protocol's settings")
    methods: dict[str, dict[str, Any]] = Field(
        {},
        description="settings by method, and clips without labels; a name of your own stands for the one that its "
        "`method` names",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Plan":
        for table, names in (
            ("encoders", self.encoders),
            ("corpora", self.corpora),
            ("targets", self.targets),
            ("methods", self.methods),
        ):
            for name in names:
                _check_name(table, name)
        for name in self.methods:
            with _faults_at(f"methods.{name}"):
                self.method(name)
        for index, grid in enumerate(self.grid):
            with _faults_at(f"grid.{index}.starts"):
                self.starts(grid)
            with _faults_at(f"grid.{index}"):
                _check_known("encoders", grid.encoders or (), self.encoders)
                _check_known("methods", grid.methods, {**METHODS, **self.methods})
                self._check_protocol(grid)
                self._check_starts(grid)
        with _faults_at("prefinetune"):
            self.prefinetune_settings()
        for name in self.encoders:
            with _faults_at(f"encoders.{name}.prefinetune"):
                self.prefinetune_settings(name)
        return self

    def _check_protocol(self, grid: Grid) -> None:
        for name in grid.methods if self.protocol != PAPER else ():
            if self.method(name).configured.method.needs_validation:
                raise ValueError(
                    f'methods: {name!r} selects on labelled clips beyond the k shots; set protocol = "paper"'
                )

    def _check_starts(self, grid: Grid) -> None:
        for name in grid.methods if NONE in self.starts(grid) else ():
            if self.method(name).configured.method.needs_prior:
                raise ValueError(
                    f"methods: {name!r} begins at what pre-finetuning corpora know; put it in a [[grid]] of its own, "
                    f"with starts other than {NONE!r}"
                )

    @property
    def start_ids(self) -> list[StartId]:
        """Every starting point that the grids name, in the order of the plan."""
        named = {start_id for grid in self.grid for start_id in self.grid_start_ids(grid)}
        starts = dict.fromkeys(start for grid in self.grid for start in self.starts(grid))
        return [start_id for start_id in starmap(StartId, product(self.encoders, starts)) if start_id in named]

    def grid_start_ids(self, grid: Grid) -> list[StartId]:
        """Return every starting point of one grid."""
        return list(starmap(StartId, product(grid.encoders or self.encoders, self.starts(grid))))

    def prefinetune_settings(self, encoder: str | None = None) -> PrefinetuneSettings:
        """The protocol's settings with what the plan changes, for all encoders and for this one."""
        usual = PrefinetuneSettings.for_protocol(self.protocol).model_dump()
        own = self.encoders[encoder].prefinetune if encoder else {}
        return PrefinetuneSettings(**{**usual, **self.prefinetune, **own})

    def method(self, name: str) -> PlannedMethod:
        """Return the method that the plan calls ``name``, with its settings."""
        return read_planned_method(name, self.methods.get(name, {}))

    def starts(self, grid: Grid) -> list[str]:
        """The starting points of a grid: ``none``, or corpora joined by ``+`` in the order of the plan."""
        names = list(self.corpora)
        groups: dict[str, list[tuple[str, ...]]] = {
            NONE: [()],
            "all": [tuple(names)],
            "singles": [(name,) for name in names],
            "subsets": [subset for size in range(1, len(names) + 1) for subset in combinations(names, size)],
        }
        unique: dict[str, None] = {}
        for entry in grid.starts:
            for subset in groups[entry] if entry in groups else [self._subset(entry)]:
                unique["+".join(subset) or NONE] = None
        return list(unique)

    def _subset(self, entry: str) -> tuple[str, ...]:
        wanted = entry.split("+")
        unknown = [name for name in wanted if name not in self.corpora]
        if unknown:
            raise ValueError(f"start {entry!r}: {unknown[0]!r} is not among the plan's corpora")
        return tuple(name for name in self.corpora if name in wanted)


def _check_known(field: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{field}: {unknown_name(field.removesuffix('s'), name, known)}")


def _check_name(table: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{table}: name {name!r} must begin with a letter, digit or '_', followed by those, '-' and '.'"
        )
    if table == "corpora" and name in _GROUPS:
        raise ValueError(f"{table}: the name {name!r} has a meaning of its own in `starts`; choose another")
    if table in ("corpora", "targets") and name != name.lower() and name.lower() in CORPORA:
        raise ValueError(f"{table}: write {name.lower()!r} for {name!r}")


@contextlib.contextmanager
def _faults_at(place: str) -> Iterator[None]:
    """Say where a fault is, in one line."""
    try:
        yield
    except ValidationError as error:
        raise ValueError(_in_one_line(error, place)) from error
    except (ValueError, VoicefitError) as error:
        raise ValueError(f"{place}: {error}") from error


def _in_one_line(error: ValidationError, place: str = "") -> str:
    faults = []
    for fault in error.errors():
        where = ".".join(map(str, [place, *fault["loc"]] if place else fault["loc"]))
        message = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{where}: {message}" if where else message)
    return "; ".join(faults)


def read_plan(
    path: str | Path, encoders: Paths | None = None, corpora: Paths | None = None, *, keep_variables: bool = False
) -> Plan:
    """Read a plan; ``$NAME`` in its paths stands for an environment variable.

    Args:
        path: a TOML file.
        encoders: name of an encoder of the plan → the directory or hub id to take in place of its source.
        corpora: name of a corpus or target of the plan → the path to take in place of its own.
        keep_variables: leave paths as they are whose environment variables are not set, as a dry run may.

    Returns:
        the plan, equal to one whose file names these sources and paths.

    Raises:
        VoicefitError: unreadable, not TOML, or not a plan: each fault with its place; a name that the plan lacks; or
            paths that need environment variables which are not set: all of them.
    """
    try:
        raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise VoicefitError(f"{path}: no such plan; {_preset_for(Path(path).stem)}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise VoicefitError(f"{path}: cannot be read as a plan ({error})") from error
    return make_plan(raw, str(path), encoders, corpora, keep_variables=keep_variables)


def _preset_for(name: str) -> str:
    """Say which preset may have been meant by a plan that is not there."""
    near = difflib.get_close_matches(name, preset_names(), n=1, cutoff=0.8)
    return f"did you mean --preset {near[0]}?" if near else "`voicefit presets` lists those that come with Voicefit"


def read_preset(
    name: str, encoders: Paths | None = None, corpora: Paths | None = None, *, keep_variables: bool = False
) -> Plan:
    """Read one of the plans that come with Voicefit.

    Args:
        name: of the preset.
        encoders: as in :func:`read_plan`.
        corpora: as in :func:`read_plan`.
        keep_variables: as in :func:`read_plan`.

    Raises:
        VoicefitError: there is none of that name; or as :func:`read_plan`.
    """
    raw = tomllib.loads(find_preset(name).text)
    return make_plan(raw, f"preset {name}", encoders, corpora, keep_variables=keep_variables)


def make_plan(
    raw: Mapping[str, Any],
    origin: str,
    encoders: Paths | None = None,
    corpora: Paths | None = None,
    *,
    keep_variables: bool = False,
) -> Plan:
    """Check a plan that has been parsed already.

    Args:
        raw: the plan's tables.
        origin: what the messages of errors begin with.
        encoders: as in :func:`read_plan`.
        corpora: as in :func:`read_plan`.
        keep_variables: as in :func:`read_plan`.

    Raises:
        VoicefitError: as :func:`read_plan`.
    """
    plan = copy.deepcopy(dict(raw))
    set_paths(plan, origin, encoders or {}, corpora or {}, keep_variables)
    try:
        return Plan.model_validate(plan)
    except ValidationError as error:
        raise VoicefitError(f"{origin}: {_in_one_line(error)}") from error


def plan_cells(plan: Plan, targets: Sequence[Corpus], whole: Sequence[Corpus] | None = None) -> list[Cells]:
    """Return the cells of each grid, those that its targets have enough clips for and the others.

    Args:
        plan: the plan.
        targets: the target corpora, with the clips that can be used.
        whole: the same with all their clips, which name the speakers and labels that were meant; left out, ``targets``.

    Raises:
        VoicefitError: a grid names a speaker or a label that no target has.
    """
    whole = targets if whole is None else whole
    held_out = plan.protocol == PAPER
    for index, grid in enumerate(plan.grid):
        _check_selection(index, grid, whole)
    return [
        find_cells(
            grid.tasks, grid.k, grid.draws, grid.speakers, grid.labels, zip(targets, whole, strict=True), held_out
        )
        for grid in plan.grid
    ]


def expand_trials(
    plan: Plan,
    targets: Sequence[Corpus],
    start_keys: Mapping[StartId, str],
    cells: Sequence[Cells] | None = None,
) -> list[TrialSpec]:
    """Every trial of the plan that its targets have enough clips for, each once.

    Args:
        plan: the plan.
        targets: the target corpora, with the clips that can be used.
        start_keys: starting point → digest of what makes it.
        cells: of each grid, see :func:`plan_cells`, where they are known.

    Raises:
        VoicefitError: a grid names a speaker or a label that no target has.
    """
    trials: dict[TrialSpec, None] = {}
    method_keys = {method: _method_key(plan, method) for grid in plan.grid for method in grid.methods}
    for grid, found in zip(plan.grid, cells or plan_cells(plan, targets), strict=True):
        for start_id, cell, method in product(plan.grid_start_ids(grid), found.run, grid.methods):
            spec = TrialSpec(
                encoder=start_id.encoder,
                start=start_id.start,
                start_key=start_keys[start_id],
                protocol=plan.protocol,
                method=method,
                method_key=method_keys[method],
                seed=plan.seed,
                **cell._asdict(),
            )
            trials[spec] = None
    return list(trials)


def prefinetuned_starts(trials: Iterable[TrialSpec]) -> list[StartId]:
    """Return the starting points of trials, each once, without those that are not pre-finetuned."""
    return list(dict.fromkeys(trial.start_id for trial in trials if trial.start != NONE))


def _check_selection(index: int, grid: Grid, targets: Sequence[Corpus]) -> None:
    for field, wanted, existing in (
        ("speakers", grid.speakers, {speaker for target in targets for speaker in target.speakers}),
        ("labels", grid.labels, {label for target in targets for label in target.labels}),
    ):
        unknown = [name for name in wanted or () if name not in existing]
        if unknown:
            raise VoicefitError(
                f"grid.{index}.{field}: no target has {unknown[0]!r}; there are {', '.join(sorted(existing))}"
            )


def _method_key(plan: Plan, name: str) -> str:
    planned = plan.method(name)
    method, settings = planned.configured.method, planned.configured.settings.model_dump()
    if method.uses_unlabelled:
        settings |= {"unlabelled": planned.unlabelled, "unlabelled_label": planned.unlabelled_label}
    return digest([method.name, method.version, settings])
