import pytest
import torch

from voicefit.heads.corpus_heads import CorpusHeads

LABELS = {"ravdess": ["anger", "calm", "fear"], "v1.0": ["anger", "neutral"], "type": ["joy", "rage"]}


@pytest.mark.parametrize("corpus", LABELS)
def test_every_corpus_has_its_own_rows_of_the_stack(corpus):
    heads = CorpusHeads(LABELS, 4)
    projected = torch.randn(6, 4)
    weight, bias, names = heads.stacked()
    assert weight.shape == (7, 4)
    assert names == [
        "ravdess/anger", "ravdess/calm", "ravdess/fear",
        "v1.0/anger", "v1.0/neutral",
        "type/joy", "type/rage",
    ]  # fmt: skip
    rows = [index for index, name in enumerate(names) if name.startswith(f"{corpus}/")]
    logits = heads(projected, corpus)
    assert logits.shape == (6, len(LABELS[corpus]))
    torch.testing.assert_close(logits, projected @ weight[rows].T + bias[rows])


def test_the_stack_is_a_copy_without_gradient():
    heads = CorpusHeads(LABELS, 4)
    weight, bias, _ = heads.stacked()
    assert not weight.requires_grad
    assert not bias.requires_grad
    before = heads(torch.ones(1, 4), "ravdess").detach().clone()
    weight.zero_()
    torch.testing.assert_close(heads(torch.ones(1, 4), "ravdess").detach(), before)


def test_a_loss_reaches_its_own_head_alone():
    heads = CorpusHeads(LABELS, 4)
    heads(torch.ones(1, 4), "v1.0").sum().backward()
    assert [head.weight.grad is not None for head in heads.linear] == [False, True, False]


def test_an_unknown_corpus_is_an_error():
    with pytest.raises(ValueError, match="tess"):
        CorpusHeads(LABELS, 4)(torch.ones(1, 4), "tess")
