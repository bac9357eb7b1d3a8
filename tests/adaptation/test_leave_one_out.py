import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import LeaveOneOut as Folds
from sklearn.model_selection import cross_val_predict

from support.tiny_models import build_wav2vec2_group_norm, make_prior
from voicefit.adaptation import Shots, find_method
from voicefit.adaptation.copies import groups_of
from voicefit.adaptation.leave_one_out import LeaveOneOut, leave_one_out
from voicefit.encoders import load_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return load_encoder(build_wav2vec2_group_norm(tmp_path_factory.mktemp("encoder")))


def make_shots(encoder, targets, **more):
    pooled = torch.randn(len(targets), encoder.hidden_size, generator=torch.Generator().manual_seed(2)).numpy()
    pooled[:, 0] += 2 * np.array(targets)
    return Shots(pooled, [], np.array(targets), max(targets) + 1, **more)


def method(name):
    return find_method(name).configured()


def test_the_head_agrees_with_cross_validation_by_scikit_learn(encoder):
    shots = make_shots(encoder, [0, 0, 0, 1, 1, 1, 2, 2])
    vectors, targets = encoder.projection.project(shots.pooled).astype(np.float64), shots.targets

    class Scaled(LogisticRegression):  # centred and scaled on the clips that are there, as method head does
        def fit(self, vectors, targets):
            self.centre = vectors.mean(0)
            self.spread = np.sqrt(((vectors - self.centre) ** 2).mean())
            return super().fit((vectors - self.centre) / self.spread, targets)

        def predict(self, vectors):
            return super().predict((vectors - self.centre) / self.spread)

    expected = cross_val_predict(Scaled(C=1.0, class_weight="balanced", max_iter=1000), vectors, targets, cv=Folds())
    found = leave_one_out(method("head"), encoder, shots, seed=0)
    assert found.logits.argmax(axis=1).tolist() == expected.tolist()
    assert found.right == (expected == targets).sum()
    assert found.macro_f1 == pytest.approx(f1_score(targets, expected, average="macro"))


def test_no_clip_has_a_say_in_its_own_answer(encoder):
    shots = make_shots(encoder, [0, 0, 1, 1], labels=("anger", "rest"), prior=make_prior(encoder.hidden_size))
    before = leave_one_out(method("prior"), encoder, shots, seed=0).logits[0]
    shots.targets[0] = 1  # its label is changed, and with it nothing that it is told by
    others = Shots(shots.pooled[1:], [], shots.targets[1:], 2, labels=shots.labels, prior=shots.prior)
    head = find_method("prior").fit(encoder, others, find_method("prior").settings_type(), 0)
    np.testing.assert_allclose(before, head(shots.pooled[:1])[0], rtol=1e-5, atol=1e-5)


def test_counts_by_hand():
    logits = np.array([[2.0, 1], [0, 3], [1, 0], [0, 1], [0, 1], [0, 1]])
    found = LeaveOneOut(logits, np.array([0, 0, 0, 0, 1, 1]), fewest=4)
    # Answers 0 1 0 1 1 1: class 0 has precision 1 and recall 1/2, class 1 has precision 1/2 and recall 1.
    assert found.right == 4
    assert found.macro_f1 == pytest.approx(2 / 3)
    assert found.chance == pytest.approx(6 * ((4 / 6) ** 2 + (2 / 6) ** 2))
    assert found.words() == "on 6 clips: 4 right when each was left out (chance 3.33), macro F1 0.67"
    few = LeaveOneOut(logits, found.targets, fewest=3).words()
    assert few.startswith("hard to tell from 3 clips of a label. On 6 clips: 4 right")
    assert "(chance 3.33), which is mostly far too low" in few


def test_it_is_skipped_where_it_says_nothing(encoder):
    assert leave_one_out(method("head"), encoder, make_shots(encoder, [0, 0, 1]), 0) is None
    assert leave_one_out(method("full"), encoder, make_shots(encoder, [0, 0, 1, 1]), 0) is None
    assert leave_one_out(method("prototype"), encoder, make_shots(encoder, [0, 1] * 101), 0) is None
    assert leave_one_out(method("prototype"), encoder, make_shots(encoder, [0, 0, 1, 1]), 0) is not None


def test_copies_are_left_out_together(encoder):
    """Noise that nothing tells apart, but whoever has heard the copy of a clip knows its label."""
    distinct = torch.randn(8, encoder.hidden_size, generator=torch.Generator().manual_seed(2)).numpy()
    rows = np.arange(8).repeat(2)
    shots = Shots(distinct[rows], [], rows % 2, 2)
    naive = leave_one_out(method("head"), encoder, shots, 0)
    found = leave_one_out(method("head"), encoder, shots, 0, groups_of(rows.tolist()))
    once = Shots(distinct, [], np.arange(8) % 2, 2)
    alone = leave_one_out(method("head"), encoder, once, 0)
    assert found.right == 2 * alone.right < naive.right
    assert found.copies == found.to_json()["copies"] == 8
    assert "on 16 clips, 8 of them copies of others:" in found.words()
    assert "right when each was left out with its copies (chance 8)" in found.words()


def test_a_label_whose_clips_are_copies_of_one_has_none_to_leave_out(encoder):
    shots = make_shots(encoder, [0, 0, 1, 1])
    assert leave_one_out(method("head"), encoder, shots, 0, groups_of(["x", "x", "y", "z"])) is None
    assert leave_one_out(method("head"), encoder, shots, 0, groups_of(["x", "w", "y", "z"])) is not None


def test_a_clip_under_two_labels_is_left_out_of_both(encoder):
    shots = make_shots(encoder, [0, 0, 0, 1, 1, 1])
    found = leave_one_out(method("head"), encoder, shots, 0, groups_of(["x", "a", "b", "x", "c", "d"]))
    rest = Shots(shots.pooled[[1, 2, 4, 5]], shots.frames[:4], shots.targets[[1, 2, 4, 5]], 2)
    head = method("head").fit(encoder, rest, 0)
    torch.testing.assert_close(found.logits[0], head(shots.pooled[:1])[0])
    assert found.copies == 1
