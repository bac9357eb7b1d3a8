"""Why cells of a grid have no trial."""

from pathlib import Path

from voicefit.corpora import Clip, Corpus, folder
from voicefit.sweep.cells import Cell, find_cells

TASKS = ["one-vs-rest", "multiclass"]


def corpus_of(counts, splits=None):
    """Speaker → label → number of clips; split of each speaker's clips, by label where that differs."""
    clips = []
    for speaker, labels in counts.items():
        for label, count in labels.items():
            split = (splits or {}).get((speaker, label)) or (splits or {}).get(speaker)
            clips += [
                Clip(f"{speaker}/{label}/{i:02}", Path("none"), speaker, label, split=split) for i in range(count)
            ]
    return Corpus("t", Path("none"), folder.INFO, tuple(clips))


def find(usable, whole=None, tasks=TASKS, shots=(4,), draws=1, speakers=None, labels=None):
    return find_cells(tasks, shots, draws, speakers, labels, [(usable, whole or usable)], False)


def words(cells):
    return [group.words() for group in cells.not_run]


def test_every_cell_is_run_or_has_a_reason():
    corpus = corpus_of({"s1": {"calm": 6, "sad": 6}, "s2": {"calm": 6, "sad": 1}, "s3": {"calm": 6}})
    found = find(corpus, shots=(2, 4, 16))
    told = {
        Cell(group.target, speaker, group.task, label, k, draw)
        for group in found.not_run
        for speaker in group.speakers
        for label in group.labels
        for k in group.k
        for draw in group.draws or (0,)
    }
    assert len(found.run) == len(set(found.run)) and not told & set(found.run)
    assert len(told) + len(found.run) == 3 * 3 * (2 + 1)


def test_a_split_by_speaker_is_named():
    corpus = corpus_of({"s1": {"calm": 6, "sad": 6}, "s3": {"calm": 6, "sad": 6}}, {"s1": "train", "s3": "test"})
    advice = "leave `split` empty to have Voicefit divide each speaker's clips"
    assert words(find(corpus, tasks=["one-vs-rest"])) == [
        f"t/s1, one-vs-rest of calm, sad, k = 4: no clip of the split test; {advice}",
        f"t/s3, one-vs-rest of calm, sad, k = 4: no clip of the split train; {advice}",
    ]


def test_what_a_speaker_lacks_is_named():
    corpus = corpus_of({"s1": {"calm": 9, "sad": 9, "fear": 9}, "s2": {"calm": 9, "sad": 1}})
    assert words(find(corpus)) == [
        "t/s2, one-vs-rest of calm, k = 4: too few clips beside calm",
        "t/s2, one-vs-rest of fear, k = 4: no clip of fear",
        "t/s2, one-vs-rest of sad, k = 4: too few clips of sad",
        "t/s2, multiclass, k = 4: too few clips of sad",
    ]


def test_a_test_set_that_lacks_a_label_is_named():
    splits = {("s1", "calm"): "train", ("s1", "sad"): "test", ("s1", "fear"): "train"}
    corpus = corpus_of({"s1": {"calm": 9, "sad": 9, "fear": 9}}, splits)
    assert words(find(corpus)) == [
        "t/s1, one-vs-rest of calm, k = 4: no test clip of calm",
        "t/s1, one-vs-rest of fear, k = 4: no test clip of fear",
        "t/s1, one-vs-rest of sad, k = 4: no test clip but of sad",
        "t/s1, multiclass, k = 4: no test clip of calm, fear",
    ]


def test_one_emotion_and_no_usable_clip_are_named():
    whole = corpus_of({"s1": {"calm": 9, "sad": 9}, "s2": {"calm": 9}, "s3": {"calm": 2, "sad": 2}})
    usable = whole.select(lambda clip: clip.speaker != "s3")
    assert words(find(usable, whole, tasks=["multiclass"], shots=(2, 4))) == [
        "t/s2, multiclass, k = 2, 4: one label alone",
        "t/s3, multiclass, k = 2, 4: no clip that can be used",
    ]


def test_fewer_shots_than_emotions_and_few_clips_beside_are_named():
    corpus = corpus_of({"s1": {"calm": 30, "sad": 2, "fear": 2}})
    assert words(find(corpus, shots=(2, 10), labels=["calm"])) == [
        "t/s1, one-vs-rest of calm, k = 10: too few clips beside calm",
        "t/s1, multiclass, k = 2: fewer shots than the 3 labels",
        "t/s1, multiclass, k = 10: too few clips of fear, sad",
    ]


def test_draws_are_told_apart_where_the_order_of_the_deal_decides():
    corpus = corpus_of({"s1": {"calm": 30, "sad": 2}})  # one of sad to draw: enough for 3 shots of two emotions or not
    found = find(corpus, tasks=["multiclass"], shots=(3,), draws=8)
    (group,) = found.not_run
    assert len(found.run) + len(group.draws) == 8 and found.run and group.draws
    assert group.words().endswith(f"draw {', '.join(map(str, group.draws))}: too few clips of sad")


def test_selected_speakers_and_labels_alone_are_told():
    corpus = corpus_of({"s1": {"calm": 9}, "s2": {"calm": 9, "sad": 9}})
    assert words(find(corpus, speakers=["s2"], labels=["sad"], tasks=["one-vs-rest"], shots=(64,))) == [
        "t/s2, one-vs-rest of sad, k = 64: too few clips of sad"
    ]
