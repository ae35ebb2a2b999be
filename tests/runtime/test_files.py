"""Files and folders appear whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime.files import inner_path, new_folder, write_json, write_text


def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").write_text("old")

    def fail() -> None:
        with new_folder(target) as draft:
            (draft / "new").write_text("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "old"]


def test_a_folder_replaces_the_old_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for name in ("first", "second"):
        with new_folder(target) as draft:
            (draft / name).write_text(name)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "second"]


def test_rights_are_the_usual_ones(tmp_path: Path) -> None:
    with new_folder(tmp_path / "folder") as draft:
        write_text(draft / "file", "text")
    (tmp_path / "plain").write_text("")
    usual = stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "folder" / "file").stat().st_mode) == usual


def test_a_path_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for write in (lambda path: write_text(path, ""), lambda path: new_folder(path).__enter__()):
        with pytest.raises(NetwrightError) as caught:
            write(tmp_path / "file" / "inner")
        assert caught.value.diagnostics[0].code is Code.R903
    assert (tmp_path / "file").read_text() == "kept"


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "file", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../x", "a/../../x", "C:/x", "a\\b", "a\0b", 7, None]
)
def test_names_that_leave_the_folder(name: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r".+"):
        inner_path(tmp_path, name)


def test_symbolic_links_are_refused_at_every_depth(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(ValueError, match="symbolic link"):
        inner_path(tmp_path, "link/passwd")


def test_a_new_folder_that_another_process_filled_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "run"

    def race() -> None:
        with new_folder(target, replace=False) as draft:
            (draft / "mine").touch()
            target.mkdir()
            (target / "theirs").touch()

    with pytest.raises(NetwrightError):
        race()
    assert [path.name for path in target.iterdir()] == ["theirs"]


def test_an_interruption_keeps_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C may come between the two renames."""
    target, rename = tmp_path / "target", Path.rename
    target.mkdir()
    (target / "old").touch()

    def interrupted(path: Path, new: Path) -> Path:
        if new == target and not path.joinpath("old").exists():
            raise KeyboardInterrupt
        return rename(path, new)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), new_folder(target) as draft:
        (draft / "new").touch()
    assert [path.name for path in target.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
