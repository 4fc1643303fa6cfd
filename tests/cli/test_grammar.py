"""Words are sorted as typed: a path is never parsed, an override is one only by its key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoadapt.cli.grammar import Flag, Request, Verb, parse
from geoadapt.cli.keys import quoted
from geoadapt.errors import GeoadaptError

ODD_NAMES = [
    "~",
    "~scene.tif",
    "scene (copy).tif",
    "scene[1].tif",
    "{a,b}.tif",
    "a,b,c.tif",
    "lat=3.tif",
    "tile=8.tif",
    "data.x",
    "Übersicht ü.tif",
    "it's.tif",
    'say "x".tif',
    "two  spaces.tif",
    "back\\slash.tif",
    "$HOME.tif",
    "${oc.env:HOME}.tif",
    "https://host/a.tif?sig=a%2Bb&se=2026-01-01",
    "#x.tif",
    "@x.tif",
    "'quoted'",
]

TAKES_PATHS = Verb(
    "",
    plan=lambda request: lambda: 0,
    paths="SCENE…",
    flags=(Flag("--bundle", "", value="B", short="-b"), Flag("--json", ""), Flag("--bbox", "", value="W,S,E,N")),
    sections=("infer", "runtime"),
)
TAKES_NONE = Verb("", plan=lambda request: lambda: 0, flags=(Flag("--dry-run", ""),), sections=("train", "seed"))


def _parsed(verb: Verb, *words: str) -> Request:
    return parse(verb, words, "geoadapt …")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_path_arrives_as_it_was_typed(name: str) -> None:
    request = _parsed(TAKES_PATHS, "--bundle", name, name, "infer.tile=64")
    assert request.paths == (name,)
    assert request.flags == {"--bundle": name}
    assert request.overrides == ("infer.tile=64",)


def test_an_existing_file_is_a_path_even_when_it_looks_like_an_override(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _parsed(TAKES_PATHS, "infer.tile=64").overrides == ("infer.tile=64",)
    (tmp_path / "infer.tile=64").touch()
    assert _parsed(TAKES_PATHS, "infer.tile=64").paths == ("infer.tile=64",)


def test_flags_and_paths_may_be_mixed_and_a_double_dash_ends_the_flags() -> None:
    request = _parsed(TAKES_PATHS, "a.tif", "--json", "b.tif", "-b=B", "--", "--json", "infer.tile=3")
    assert request.paths == ("a.tif", "b.tif", "--json", "infer.tile=3")
    assert request.flags == {"--json": "", "--bundle": "B"}
    assert request.overrides == ()


@pytest.mark.parametrize("word", ["infre.tile=3", "runtme.device=cpu", "+infer_.tile=3"])
def test_a_misspelt_key_is_no_path_unless_a_file_is_called_that(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GeoadaptError, match=r"is neither a file nor a key; did you mean '(infer|runtime)'\?"):
        _parsed(TAKES_PATHS, "a.tif", word)
    (tmp_path / word).touch()
    assert _parsed(TAKES_PATHS, "a.tif", word).paths == ("a.tif", word)


def test_a_verb_that_takes_only_flags_says_so() -> None:
    with pytest.raises(GeoadaptError, match="extra: is no flag, and nothing else is taken here; see --help"):
        _parsed(Verb("", plan=lambda request: lambda: 0), "extra")


def test_a_negative_west_is_a_value_and_not_a_flag() -> None:
    assert _parsed(TAKES_PATHS, "a", "--bbox", "-5,-1,2,3").flags["--bbox"] == "-5,-1,2,3"


@pytest.mark.parametrize(
    ("verb", "words", "message"),
    [
        (TAKES_PATHS, ["--bundel", "x"], "--bundel: unknown flag; did you mean '--bundle'?"),
        (TAKES_PATHS, ["--bundle"], "--bundle: has no value; write --bundle B"),
        (TAKES_PATHS, ["--json=yes"], "--json: takes no value; write --json alone"),
        (TAKES_NONE, ["trian"], "trian: is neither a flag nor group=choice nor key=value; did you mean 'train'?"),
    ],
)
def test_a_wrong_word_is_named_with_the_nearest_right_one(verb: Verb, words: list[str], message: str) -> None:
    with pytest.raises(GeoadaptError) as raised:
        _parsed(verb, *words)
    assert str(raised.value) == message


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_text_survives_hydras_grammar_when_quoted(text: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    override = OverridesParser.create().parse_override(f"data.root={quoted(text)}")
    assert override.value() == text


@given(st.text("\\'\"ab", min_size=1, max_size=8))
def test_backslashes_and_quotes_survive_hydras_grammar(text: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    assert OverridesParser.create().parse_override(f"data.root={quoted(text)}").value() == text
