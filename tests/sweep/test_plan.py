import re
import tomllib
from dataclasses import asdict, fields, replace
from importlib.resources import files
from itertools import pairwise

import pytest

from voicefit.adaptation import METHODS
from voicefit.errors import VoicefitError
from voicefit.sweep.plan import expand_trials, make_plan, read_plan
from voicefit.sweep.specs import TrialSpec

MINIMAL = """
[encoders.tiny]
source = "somewhere"
[corpora]
a = "A"
b = "B"
c = "C"
[targets]
t = "T"
[[grid]]
starts = ["none"]
"""
SPEC = TrialSpec(
    encoder="tiny",
    start="a+b",
    start_key="s",
    target="t",
    protocol="clean",
    task="one-vs-rest",
    method="head",
    method_key="m",
    speaker="anna",
    label="anger",
    k=2,
    draw=0,
    seed=0,
)


def plan_of(**changes):
    return make_plan({**tomllib.loads(MINIMAL), **changes}, "plan.toml")


def grid_of(**grid):
    return plan_of(grid=[grid])


def expand(plan, *targets):
    keys = {(encoder, start): f"{encoder}/{start}" for encoder, start in plan.start_ids}
    return expand_trials(plan, targets, keys)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[corpora]", "[corpra]", r": unknown key 'corpra'; did you mean 'corpora'\? There are protocol, seed, "),
        (
            'starts = ["none"]',
            "stars = []",
            r"grid\.0: unknown key 'stars'; did you mean 'starts'\? There are starts, ",
        ),
        ('source = "somewhere"', "depth = 3", r"encoders\.tiny\.source: "),
        ('source = "somewhere"', 'source = "x"\ndepth = 0', r"encoders\.tiny\.depth: .* greater than"),
        (
            '["none"]',
            '["none"]\nmethods = ["svm"]',
            r"grid\.0: methods: unknown method 'svm'; there are bitfit, full, ",
        ),
        ('["none"]', '["a+z"]', r"grid\.0\.starts: start 'a\+z': 'z' is not among the plan's corpora"),
        ('["none"]', "[]", r"grid\.0\.starts: "),
        ('["none"]', '["none"]\nencoders = ["huge"]', r"grid\.0: encoders: unknown encoder 'huge'; there are tiny"),
        ('["none"]', '["none"]\nk = [4, 1]', r"grid\.0\.k\.1: .* greater than or equal to 2"),
        ('["none"]', '["none"]\nk = []', r"grid\.0\.k: "),
        ('["none"]', '["none"]\ndraws = 0', r"grid\.0\.draws: "),
        ('["none"]', '["none"]\ntasks = ["both"]', r"grid\.0\.tasks\.0: .*'one-vs-rest' or 'multiclass'"),
        ("[targets]", "[methods.full]\nspeed = 3\n[targets]", r"methods\.full: unknown key 'speed'; there are "),
        ("[targets]", "[methods.svm]\n[targets]", r"methods\.svm: unknown method 'svm'; there are bitfit, full"),
        ("[targets]", '[methods.slow]\nmethod = "svm"\n[targets]', r"methods\.slow: unknown method 'svm'"),
        ("[targets]", '[methods.slow]\nmethod = ["svm"]\n[targets]', r"methods\.slow: method 'slow' cannot stand for"),
        ("[targets]", '[methods.head]\nmethod = "full"\n[targets]', r"methods\.head: method 'head' cannot stand for"),
        (
            "[targets]",
            "[methods.full]\nunlabelled = 3\n[targets]",
            r"methods\.full: unlabelled: method 'full' learns nothing from unlabelled clips; these do: joint, prior, z",
        ),
        (
            "[targets]",
            '[methods.mine]\nmethod = "head"\nunlabelled_label = "calm"\n[targets]',
            r"methods\.mine: unlabelled_label: method 'head' learns nothing from unlabelled clips",
        ),
        ("[targets]", "[methods.prior]\nunlabelled = -1\n[targets]", r"methods\.prior\.unlabelled: .* greater than"),
        ("[targets]", "[methods.prior]\nlabelled = 1\n[targets]", r"methods\.prior: unknown key 'labelled'; "),
        ("[targets]", "[encoders.tiny.prefinetune]\nlr = -1\n[targets]", r"encoders\.tiny\.prefinetune\.lr: "),
        ("[targets]", "[prefinetune]\nlr = -1\n[targets]", r"prefinetune\.lr: .* greater than 0"),
        ('t = "T"', "", r"targets: "),
        ('t = "T"', '"t/u" = "T"', r"targets: name 't/u' must begin with"),
        ("[encoders.tiny]", '[encoders."../x"]', r"encoders: name '\.\./x' must begin with"),
        ('a = "A"', 'all = "A"', r"corpora: the name 'all' has a meaning of its own"),
        ('t = "T"', 'nEMO = "T"', r"targets: write 'nemo' for 'nEMO'"),
        (
            't = "T"',
            't = "$VOICEFIT_NOWHERE/T"',
            r"\$VOICEFIT_NOWHERE/T: set the environment variable VOICEFIT_N",
        ),
        ('"somewhere"', '"${VOICEFIT_NOWHERE}"', r"set the environment variable VOICEFIT_NOWHERE"),
        ("[targets]", "[targets", r"cannot be read as a plan \(.*line \d+"),
    ],
)
def test_a_fault_is_told_in_one_line_with_its_place(tmp_path, old, new, message):
    path = tmp_path / "plan.toml"
    path.write_text(MINIMAL.replace(old, new))
    assert path.read_text() != MINIMAL
    with pytest.raises(VoicefitError, match=message) as caught:
        read_plan(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_plan_that_cannot_be_read_is_an_error(tmp_path):
    path = tmp_path / "plan.toml"
    with pytest.raises(VoicefitError, match=r"plan\.toml: no such plan; `voicefit presets` lists those that"):
        read_plan(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(VoicefitError, match=r"plan\.toml: cannot be read as a plan"):
        read_plan(path)


def test_every_fault_is_told_at_once():
    with pytest.raises(VoicefitError, match=r"protocol: .*; grid\.0\.draws: .*"):
        plan_of(protocol="mine", grid=[{"draws": 0}])


def test_variables_and_the_home_folder_are_filled_in(tmp_path, monkeypatch):
    monkeypatch.setenv("VOICES", "/data")
    monkeypatch.setenv("HOME", "/home/me")
    path = tmp_path / "plan.toml"
    path.write_text(MINIMAL.replace('"A"', '"$VOICES/A"').replace('"T"', '"~/T"').replace("somewhere", "${VOICES}/m"))
    plan = read_plan(path)
    assert plan.corpora["a"] == "/data/A"
    assert plan.targets["t"] == "/home/me/T"
    assert plan.encoders["tiny"].source == "/data/m"


WITH_VARIABLES = MINIMAL.replace('"A"', '"$VOICES/A"').replace('"T"', '"${VOICES}/T"').replace("somewhere", "$MODELS/m")


@pytest.fixture
def plan_with_variables(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(WITH_VARIABLES)
    return path


def test_an_override_gives_the_plan_that_names_the_source_so(plan_with_variables, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    found = read_plan(plan_with_variables, {"tiny": "hub/id"}, {"a": "~/A", "c": tmp_path / "C", "t": "T"})
    written = tmp_path / "written.toml"
    text = MINIMAL.replace("somewhere", "hub/id").replace('"A"', '"/home/me/A"').replace('"C"', f'"{tmp_path}/C"')
    written.write_text(text)
    assert found == read_plan(written)


def test_an_override_leaves_the_parsed_plan_as_it_is():
    raw = tomllib.loads(MINIMAL)
    assert make_plan(raw, "plan.toml", {"tiny": "other"}, {"a": "x"}) != make_plan(raw, "plan.toml")
    assert raw == tomllib.loads(MINIMAL)


def test_an_override_of_a_name_that_is_a_corpus_and_a_target_is_of_both():
    plan = make_plan({**tomllib.loads(MINIMAL), "targets": {"a": "T"}}, "plan.toml", corpora={"a": "x"})
    assert plan.corpora["a"] == plan.targets["a"] == "x"


def test_all_variables_that_are_missing_are_told_at_once_with_both_remedies(plan_with_variables):
    with pytest.raises(VoicefitError) as caught:
        read_plan(plan_with_variables)
    assert str(caught.value) == (
        f"{plan_with_variables}: $VOICES/A, ${{VOICES}}/T, $MODELS/m: set the environment variables VOICES and MODELS "
        "to the folders meant, or add --corpus a=PATH --corpus t=PATH --encoder tiny=SOURCE"
    )
    with pytest.raises(VoicefitError) as caught:
        read_plan(plan_with_variables, {"tiny": "m"}, {"a": "A"})
    assert str(caught.value).endswith(
        ": ${VOICES}/T: set the environment variable VOICES to the folder meant, or add --corpus t=PATH"
    )


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"encoders": {"huge": "x"}}, r"plan\.toml: --encoder huge: the plan has no 'huge'; it has tiny$"),
        ({"corpora": {"tiny": "x"}}, r"plan\.toml: --corpus tiny: the plan has no 'tiny'; it has a, b, c, t$"),
    ],
)
def test_an_override_of_a_name_that_the_plan_lacks_is_an_error(overrides, message):
    with pytest.raises(VoicefitError, match=message):
        make_plan(tomllib.loads(MINIMAL), "plan.toml", **overrides)


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        (["none"], ["none"]),
        (["all"], ["a+b+c"]),
        (["singles"], ["a", "b", "c"]),
        (["subsets"], ["a", "b", "c", "a+b", "a+c", "b+c", "a+b+c"]),
        (["c+a"], ["a+c"]),
        (["none", "c+b+a", "all", "b", "singles"], ["none", "a+b+c", "b", "a", "c"]),
    ],
)
def test_starts_are_expanded_in_the_order_of_the_plan_each_once(starts, expected):
    plan = grid_of(starts=starts)
    assert plan.starts(plan.grid[0]) == expected


@pytest.mark.parametrize("count", range(1, 6))
def test_there_are_two_to_the_n_minus_one_subsets(count):
    plan = plan_of(corpora=dict.fromkeys("vwxyz"[:count], "path"), grid=[{"starts": ["subsets"]}])
    assert len(set(plan.starts(plan.grid[0]))) == 2**count - 1


def test_a_grid_may_name_its_encoders():
    encoders = {"small": {"source": "s"}, "large": {"source": "l"}}
    grids = [{"starts": ["a"], "encoders": ["large"]}, {"starts": ["none"]}]
    assert plan_of(encoders=encoders, grid=grids).start_ids == [("small", "none"), ("large", "a"), ("large", "none")]


def test_a_method_of_the_plan_gets_its_settings_and_the_protocol_its_own():
    plan = plan_of(protocol="paper", methods={"full": {"steps": 7}}, prefinetune={"max_epochs": 3})
    settings = plan.method("full").configured.settings
    assert (settings.steps, settings.batch_size) == (7, 8)
    assert plan.prefinetune_settings().max_epochs == 3
    assert plan.prefinetune_settings().batch_size == 4


def test_a_plan_may_name_several_settings_of_one_method():
    plan = plan_of(methods={"full-slow": {"method": "full", "lr": 1e-5}}, grid=[{"methods": ["full", "full-slow"]}])
    slow, usual = plan.method("full-slow").configured, plan.method("full").configured
    assert (slow.name, slow.settings.lr) == ("full", 1e-5)
    assert slow.settings.model_copy(update={"lr": usual.settings.lr}) == usual.settings
    assert slow.method is usual.method


def test_a_plan_may_give_a_method_clips_without_labels():
    entry = {"method": "prior", "prior_shots": 4, "unlabelled": 12, "unlabelled_label": "neutral"}
    planned = plan_of(methods={"prior-12": entry}).method("prior-12")
    assert (planned.unlabelled, planned.unlabelled_label) == (12, "neutral")
    assert planned.configured.settings.model_dump() == {"prior_shots": 4}


def test_a_method_that_selects_beyond_the_shots_needs_the_paper_protocol():
    grid = [{"methods": ["published"]}]
    with pytest.raises(VoicefitError, match=r"grid\.0: methods: 'published' selects on labelled clips beyond"):
        plan_of(grid=grid)
    assert plan_of(grid=grid, protocol="paper").method("published").configured.settings.patience == 30


def test_a_method_that_begins_at_a_prior_needs_a_start_that_has_one():
    with pytest.raises(VoicefitError, match=r"grid\.0: methods: 'prior' begins at what pre-finetuning corpora know"):
        plan_of(grid=[{"starts": ["none", "all"], "methods": ["prior"]}])
    plan = plan_of(grid=[{"starts": ["all"], "methods": ["prior"]}])
    assert plan.method("prior").configured.settings.prior_shots == 8


def test_an_encoder_of_the_plan_may_be_pre_finetuned_in_its_own_way():
    encoders = {"usual": {"source": "s"}, "slow": {"source": "s", "prefinetune": {"lr": 1e-6}}}
    plan = plan_of(encoders=encoders, prefinetune={"lr": 1e-5, "max_epochs": 3})
    assert [plan.prefinetune_settings(name).lr for name in ("usual", "slow")] == [1e-5, 1e-6]
    assert plan.prefinetune_settings("slow").max_epochs == 3


@pytest.mark.parametrize("preset", [f.name for f in files("voicefit.presets").iterdir() if f.name.endswith(".toml")])
def test_every_preset_is_a_plan(preset, monkeypatch):
    text = files("voicefit.presets").joinpath(preset).read_text("utf-8")
    for name in re.findall(r"\$(\w+)", text):
        monkeypatch.setenv(name, "/somewhere")
    plan = make_plan(tomllib.loads(text), preset)
    assert all(plan.starts(grid) for grid in plan.grid)


def test_trials_are_counted_as_by_hand(make_corpus_of):
    target = make_corpus_of("t", {"anna": {"anger": 9, "calm": 9}, "ben": {"anger": 9, "calm": 3, "fear": 9}})
    plan = grid_of(starts=["none", "singles"], methods=["head", "full"], k=[2, 4, 14], draws=3)
    # A third is for testing, which leaves anna 6 + 6 clips and ben 6 + 2 + 6: enough for every emotion at 2
    # and 4 shots, and for none at 14, which takes seven of the emotion.
    cells = (2 * 2 + 3 * 2) * 3
    assert len(expand(plan, target)) == 4 * 2 * cells


def test_multiclass_trials_have_no_label_and_are_one_for_each_draw(make_corpus_of):
    target = make_corpus_of("t", {"anna": {"anger": 9, "calm": 9, "fear": 9}})
    trials = expand(grid_of(tasks=["multiclass"], k=[2, 4], methods=["head"], draws=5, starts=["none"]), target)
    assert {(trial.label, trial.k) for trial in trials} == {("", 4)}  # two shots cannot show three emotions
    assert [trial.draw for trial in trials] == list(range(5))


def test_a_speaker_with_too_few_clips_is_left_out(make_corpus_of):
    counts = {"anna": {"anger": 9, "calm": 9}, "one-emotion": {"anger": 50}, "few": {"anger": 1, "calm": 9}}
    trials = expand(grid_of(k=[2], starts=["none"]), make_corpus_of("t", counts))
    assert {trial.speaker for trial in trials} == {"anna"}


def test_speakers_and_labels_can_be_chosen(make_corpus_of):
    counts = {name: {"anger": 9, "calm": 9, "fear": 9} for name in ("anna", "ben", "cy")}
    plan = grid_of(speakers=["cy", "anna"], labels=["fear"], k=[2], starts=["none"])
    trials = expand(plan, make_corpus_of("t", counts))
    assert {(trial.speaker, trial.label) for trial in trials} == {("anna", "fear"), ("cy", "fear")}


@pytest.mark.parametrize(("field", "there"), [("speakers", "anna, ben"), ("labels", "anger, calm")])
def test_a_speaker_or_label_that_no_target_has_is_an_error(field, there, make_corpus_of):
    target = make_corpus_of("t", {name: {"anger": 9, "calm": 9} for name in ("anna", "ben")})
    with pytest.raises(VoicefitError, match=rf"grid\.0\.{field}: no target has 'x'; there are {there}"):
        expand(grid_of(**{field: ["x"], "starts": ["none"]}), target)


def test_grids_that_overlap_give_each_trial_once(make_corpus_of):
    target = make_corpus_of("t", {"anna": {"anger": 9, "calm": 9}})
    grids = [{"k": [2, 4, 2], "starts": ["none"]}, {"k": [4, 8], "starts": ["none", "a"], "draws": 4}]
    trials = expand(plan_of(grid=grids), target)
    assert len({trial.key for trial in trials}) == len(trials)
    # First 2 methods × 2 emotions × k = 2, 4 × 10 draws; then k = 4, 8 × 4 draws, of which k = 4 without
    # pre-finetuning is there already.
    assert len(trials) == 2 * 2 * (2 * 10 + (2 * 2 * 4 - 4))


def test_trials_of_an_encoder_and_start_follow_each_other(make_corpus_of):
    target = make_corpus_of("t", {name: {"anger": 9, "calm": 9} for name in ("anna", "ben")})
    trials = expand(grid_of(starts=["none", "singles"], k=[2]), target)
    changes = sum((one.start, one.speaker) != (next_.start, next_.speaker) for one, next_ in pairwise(trials))
    assert changes == 4 * 2 - 1


@pytest.mark.parametrize("field", [field.name for field in fields(TrialSpec)])
def test_every_field_of_a_spec_is_in_its_key(field):
    value = getattr(SPEC, field)
    assert replace(SPEC, **{field: value + 1 if isinstance(value, int) else value + "x"}).key != SPEC.key


def send_key(pipe, fields_of_spec):
    pipe.send(TrialSpec(**fields_of_spec).key)


@pytest.mark.slow(8)
def test_a_key_is_the_same_in_every_process(new_process):
    assert SPEC.key == "e64726598d8ab420b40a0767c1ba50f9"
    here, there = new_process.Pipe()
    process = new_process.Process(target=send_key, args=(there, dict(reversed(asdict(SPEC).items()))))
    process.start()
    there.close()
    assert here.recv() == SPEC.key
    process.join()


METHOD_KEYS = {
    "bitfit": "5fa7c12fafdfc2dad703c316a7be0488",
    "full": "886800ac7f8d3b63e15cd8f88eecceee",
    "head": "e6873c940e1778ce929291c40951c6d5",
    "joint": "e4a8e172fefdbc3e459625af2f5d9120",
    "kl": "fde88bee2975dcbaab67cf2048febf28",
    "l2sp": "36341b073de7696214c3cb57dda2b0e8",
    "lhuc": "dfd4ce7754a1a6fa47f7af5fe5696046",
    "lora": "56484b98cca5e4a036b5070a99da61ed",
    "prior": "c71078c7cb96d24184c422a116616cae",
    "prototype": "f911d34e7fa0ce0ffe77c6bbdd322441",
    "published": "138f7cfdc85dc9db8dc989894ab75271",
    "top-layers": "acddaface23cfded604863b141893905",
    "zero-shot": "682bf0de1784b52a48c08d59bfc35dc5",
    "prior-12": "f88af25abf626b17be551585cedb5596",
    "prior-12-neutral": "f6cd1d321c9f33e371d93eb3cb79dc62",
    "prior-0": "915fe827c412b69a2b04afb7f73d2152",
    "zero-shot-6": "37ba1ae9036439ee078ed5cdb071b7e2",
    "lora-2": "6fba0e5089902179f3eca1d550ba5122",
}
"""Keys that stores on disk have: they change with a method's version or settings, and with nothing else."""


def test_the_keys_of_methods_are_those_of_trials_that_are_stored_already(make_corpus_of):
    methods = {
        "prior-12": {"method": "prior", "unlabelled": 12},
        "prior-12-neutral": {"method": "prior", "unlabelled": 12, "unlabelled_label": "neutral"},
        "prior-0": {"method": "prior", "prior_shots": 0},
        "zero-shot-6": {"method": "zero-shot", "unlabelled": 6},
        "lora-2": {"method": "lora", "rank": 2},
    }
    grid = [{"starts": ["all"], "methods": [*METHODS, *methods], "k": [2], "draws": 1, "labels": ["calm"]}]
    target = make_corpus_of("t", {"anna": {"anger": 9, "calm": 9}})
    trials = expand(plan_of(protocol="paper", methods=methods, grid=grid), target)
    assert {trial.method: trial.method_key for trial in trials} == METHOD_KEYS


def test_the_key_of_a_trial_changes_with_its_methods_settings_and_version(make_corpus_of, monkeypatch):
    target = make_corpus_of("t", {"anna": {"anger": 9, "calm": 9}})
    grid = [{"methods": ["head", "full"], "k": [2], "draws": 1, "starts": ["none"], "labels": ["calm"]}]

    def keys(**changes):
        return {trial.method: trial.key for trial in expand(plan_of(grid=grid, **changes), target)}

    before, tuned = keys(), keys(methods={"head": {"l2": 2.0}})
    assert before == keys(methods={"head": {"l2": 1.0}})
    assert tuned["head"] != before["head"]
    assert tuned["full"] == before["full"]
    monkeypatch.setitem(METHODS, "head", replace(METHODS["head"], version=METHODS["head"].version + 1))
    assert keys()["head"] != before["head"]


def test_the_seed_of_a_method_is_the_same_for_every_start_and_differs_between_draws():
    other_start = replace(SPEC, start="none", start_key="other", encoder="big")
    assert other_start.method_seed == SPEC.method_seed
    changes = ({"draw": 1}, {"k": 4}, {"speaker": "ben"}, {"label": "calm"}, {"seed": 1}, {"target": "u"})
    assert len({replace(SPEC, **change).method_seed for change in changes} | {SPEC.method_seed}) == 7
