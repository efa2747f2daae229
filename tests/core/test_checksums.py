"""A sealed folder is refused as soon as one bit of it changes."""

import pytest

from aitm_kedro.core.checksums import CHECKSUMS, seal, verify
from aitm_kedro.core.errors import InputError

WHAT = "the bundle 'out'"


@pytest.fixture
def folder(tmp_path):
    """A sealed folder; a name that JSON escapes in hexadecimal digits, which may be lower or upper case."""
    (tmp_path / "model" / "é").mkdir(parents=True)
    (tmp_path / "spec.json").write_text('{"model": "aitm"}')
    (tmp_path / "model" / "weights.safetensors").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "model" / "é" / 'ë \\ "quoted"').write_bytes(b"x")
    (tmp_path / "empty").write_bytes(b"")
    seal(tmp_path)
    return tmp_path


def files_of(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def test_a_sealed_folder_is_accepted_and_sealing_again_changes_nothing(folder):
    verify(folder, what=WHAT)
    before = (folder / CHECKSUMS).read_bytes()
    seal(folder)
    assert (folder / CHECKSUMS).read_bytes() == before


def test_every_single_bit_of_the_list_counts(folder):
    path = folder / CHECKSUMS
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            with pytest.raises(InputError, match="The bundle 'out' cannot be trusted"):
                verify(folder, what=WHAT)


@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_one_flipped_bit_in_any_file_is_refused_and_the_file_named(folder, place):
    for path in files_of(folder):
        whole = path.read_bytes()
        if not whole:
            continue
        at = int(place * len(whole)) if isinstance(place, float) else place % len(whole)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(InputError) as refused:
            verify(folder, what=WHAT)
        if path.name != CHECKSUMS:
            assert f"'{path.relative_to(folder).as_posix()}' is not as it was written" in str(refused.value)
        path.write_bytes(whole)
    verify(folder, what=WHAT)


def test_missing_and_unknown_files_are_named(folder):
    (folder / "model" / "notes.txt").write_text("")
    with pytest.raises(InputError, match=r"'model/notes.txt' does not belong there"):
        verify(folder, what=WHAT)
    (folder / "model" / "notes.txt").unlink()
    for path in files_of(folder):
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(InputError) as refused:
            verify(folder, what=WHAT)
        assert f"'{path.relative_to(folder).as_posix()}' is missing" in str(refused.value)
        path.write_bytes(whole)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"spec.json":1}', b"\xff"])
def test_a_list_that_is_something_else_is_refused(folder, content):
    (folder / CHECKSUMS).write_bytes(content)
    with pytest.raises(InputError, match="cannot be trusted"):
        verify(folder, what=WHAT)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"'checksums.json' is missing. Copy the folder anew"):
        verify(tmp_path / "nowhere", what=WHAT)
