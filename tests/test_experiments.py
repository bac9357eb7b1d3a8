"""The experiments: their plans are plans, and scores that only they use are what they claim."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from experiments.transferability import TITLES, h_score, label_overlap, leep, nleep, proxy_a_distance, transferability
from support.voices import LABELS, build_world, clouds
from voicefit.corpora import load_corpus
from voicefit.encoders import Reading, load_encoder
from voicefit.errors import VoicefitError
from voicefit.selection.ranking import learn_together, pool_corpora
from voicefit.sweep import read_plan

PLANS = Path(__file__).resolve().parents[1] / "experiments" / "plans"
VARIABLES = ("VOICEFIT_DATA", "VOICEFIT_MODELS", "VOICEFIT_STUDENTS")
SCORES = {"h_score": h_score, "nleep": nleep}


@pytest.mark.parametrize("plan", sorted(PLANS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_plan_is_a_plan(plan, monkeypatch):
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "/somewhere")
    found = read_plan(plan)
    assert all(found.starts(grid) for grid in found.grid)


def test_settings_that_several_plans_share_have_one_name():
    names = {}
    for path in PLANS.glob("*.toml"):
        for name, settings in tomllib.loads(path.read_text(encoding="utf-8")).get("methods", {}).items():
            names.setdefault(json.dumps({"method": name, **settings}, sort_keys=True), set()).add(name)
    assert len(names) > 20
    assert [shared for shared in names.values() if len(shared) > 1] == []


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_labels_that_lie_apart_score_higher(score):
    assert score(clouds(5.0), LABELS) > score(clouds(1.5), LABELS) > score(clouds(0.0), LABELS)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_where_a_voice_lies_does_not_matter(score):
    features = clouds(2.0)
    assert score(features + 30.0, LABELS) == pytest.approx(score(features, LABELS), rel=1e-6)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_one_label_is_refused(score):
    with pytest.raises(VoicefitError, match="clips of two labels are needed, found anger"):
        score(np.ones((3, 1)), np.array(["anger"] * 3))


def test_h_score_of_many_clips_is_its_definition():
    labels = np.repeat(["anger", "fear", "neutral"], 2000)
    features = clouds(1.0, labels=labels)
    means = np.array([features[labels == label].mean(axis=0) for label in labels])
    plain = np.trace(np.linalg.inv(np.cov(features.T, bias=True)) @ np.cov(means.T, bias=True))
    assert h_score(features, labels) == pytest.approx(plain, rel=0.01)


def test_h_score_tells_corpora_apart_where_there_are_fewer_clips_than_dimensions():
    """Without shrinkage it would be 2, the labels less one, for both."""
    assert h_score(clouds(3.0, 60), LABELS) > h_score(clouds(0.1, 60), LABELS) + 0.5


def test_leep_by_hand():
    """P(a|1) = 1.6/2.2, P(a|2) = 0.4/1.8, so that each clip's own label has probability 0.8·8/11 + 0.2·2/9 = 62/99."""
    answers = np.array([[0.8, 0.2], [0.8, 0.2], [0.3, 0.7], [0.3, 0.7]])
    first = 0.8 * 1.6 / 2.2 + 0.2 * 0.4 / 1.8
    second = 0.3 * 0.6 / 2.2 + 0.7 * 1.4 / 1.8
    assert leep(answers, np.array(["a", "a", "b", "b"])) == pytest.approx((np.log(first) + np.log(second)) / 2)


def test_leep_of_answers_that_say_nothing_is_the_entropy_of_the_labels():
    shares = np.array([0.5, 0.25, 0.25])
    labels = np.array(["a", "a", "b", "c"])
    assert leep(np.full((4, 3), 1 / 3), labels) == pytest.approx((shares * np.log(shares)).sum())


def test_leep_of_answers_that_are_the_labels_under_other_names_is_0():
    index = np.unique(LABELS, return_inverse=True)[1]
    assert leep(np.eye(4)[index], LABELS) == pytest.approx(0)


def test_nleep_of_clusters_that_are_the_labels_is_0():
    assert nleep(clouds(50.0), LABELS) == pytest.approx(0, abs=1e-6)


def test_label_overlap_is_the_share_of_the_targets_labels():
    assert label_overlap(["anger", "calm", "fear"], ["anger", "anger", "fear", "joy", "upset"]) == 0.5


def test_a_distance_is_0_for_clips_of_one_kind_and_2_for_clips_that_never_mix():
    generator = np.random.default_rng(0)
    corpus, voice = generator.normal(size=(600, 5)), generator.normal(size=(300, 5))
    assert abs(proxy_a_distance(corpus, voice)) < 0.4
    assert proxy_a_distance(corpus, voice[:12] + 30) == 2


def test_corpora_and_a_voice_are_scored_by_every_name(tmp_path):
    encoder, voice, corpora = build_world(tmp_path)
    model = load_encoder(encoder, Reading(depth=1))
    (target,), _ = pool_corpora(model, [load_corpus("folder", voice)])
    pooled, _ = pool_corpora(model, [load_corpus(name, path) for name, path in corpora.items()])
    found = {part.corpus.name: transferability([part], learn_together([part]), target) for part in pooled}
    assert all(set(scores) == set(TITLES) for scores in found.values())
    assert [found[name]["label_overlap"] for name in ("same", "mixed", "other")] == [1, 1, 0]
