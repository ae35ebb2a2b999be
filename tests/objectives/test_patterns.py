import pytest
from netwright.compiler.objectives.patterns import is_pattern, matches, nearest

NAMES = ["net.conv1.weight", "net.layer1.0.conv1.weight", "net.layer1.0.bn1.bias", "net.fc.bias"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**", [0, 1, 2, 3]),
        ("net.**", [0, 1, 2, 3]),
        ("net.layer1.**", [1, 2]),
        ("**.weight", [0, 1]),
        ("**.conv1.**", [0, 1]),
        ("net.*.weight", [0]),
        ("net.*.*.*.*", [1, 2]),
        ("net.conv*.weight", [0]),
        ("net.**.conv1.**.weight", [0, 1]),
        ("net.fc.bias", [3]),
        ("net.fc.bias.**", [3]),
        ("net.fc", []),
        ("fc.bias", []),
        ("*", []),
    ],
)
def test_matches(pattern, found):
    assert [i for i, name in enumerate(NAMES) if matches(pattern, name)] == found


def test_many_stars_take_no_longer():
    name = ".".join("a" * 60)
    assert not matches(".".join(["**", "*"] * 25 + ["b"]), name)
    assert matches(".".join(["**"] * 60), name)


@pytest.mark.parametrize("text", ["", ".", "a..b", "a.[bc]", "a b", "a.?", "a.b\n", "ü"])
def test_what_is_no_pattern(text):
    assert not is_pattern(text)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("net.layer1", "`net.layer1.**`"),
        ("layer1.**", "`net.layer1.**`"),
        ("net.layer2.**", "`net.layer1`"),
        ("net.layer1.0.bn2.*", "`net.layer1.0.bn1`"),
        ("nte.**", "`net`"),
        ("**.wieght", "`weight`"),
        ("net.fc.bias.weight", "no layer or parameter exists here"),
        ("net.zzzzzz", "`conv1`, `layer1`, `fc`"),
    ],
)
def test_the_nearest_name_is_suggested(pattern, words):
    assert words in nearest(pattern, NAMES)
