"""Settings: flags and variables agree, mistakes are one sentence, and README.md lists every setting."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.addresses import AddressLimits
from web.settings import SETTINGS, ServerSettings, Setting, SettingsError, parse, take_command

README = Path(__file__).parents[2] / "README.md"
EXAMPLES = {
    "port": "8080",
    "host": "127.0.0.2",
    "data": "/some/where",
    "no_browser": "yes",
    "threads": "3",
    "device": "cuda:1",
    "precision": "bf16",
    "memory": "900",
    "log_level": "debug",
    "log_format": "json",
    "keep_days": "90",
    "async_mode": "threading",
    "fake_models": "paced-50,slow-load",
    "public_origin": "https://stories.example.org",
    "behind_proxy": "yes",
    "pages_per_address": "400",
}


def test_every_setting_is_an_attribute_and_has_an_example() -> None:
    names = [setting.name for setting in SETTINGS]
    assert sorted(names) == sorted(ServerSettings.__slots__) == sorted(EXAMPLES)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_flag_and_its_variable_mean_the_same_and_the_flag_wins(setting: Setting) -> None:
    name, flag, variable = setting.name, setting.flag, setting.variable
    by_flag = parse([flag, EXAMPLES[name]], {variable: "ignored"})
    assert getattr(by_flag, name) == getattr(parse([], {variable: EXAMPLES[name]}), name)
    assert getattr(by_flag, name) != getattr(parse([], {}), name)


def test_the_defaults() -> None:
    settings = parse([], {})
    assert (settings.host, settings.port) == ("127.0.0.1", 5000)
    assert settings.data == README.parent / "data"
    assert settings.fake_models == ()
    assert settings.pages_per_address == AddressLimits().open
    assert settings.public_origin is None
    assert not settings.no_browser


def test_flags_without_a_value() -> None:
    settings = parse(["--no-browser", "--fake-models", "--behind-proxy"], {})
    assert settings.no_browser
    assert settings.behind_proxy
    assert settings.fake_models == ("paced-30", "instant")
    assert parse(["--fake-models", "instant,crash-20"], {}).fake_models == ("paced-30", "instant", "crash-20")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "stories.example.org"])
def test_other_hosts_need_a_public_origin(host: str) -> None:
    with pytest.raises(SettingsError, match="--public-origin"):
        parse(["--host", host], {})
    assert parse(["--host", host, "--public-origin", "https://stories.example.org/"], {}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_needs_no_public_origin(host: str) -> None:
    assert parse(["--host", host], {}).host == host


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--port", "65536"], "--port must be a whole number from 0 to 65535, not '65536'."),
        (["--port", "٣"], "--port must be"),
        (["--precision", "int3"], "--precision must be one of auto, fp32, bf16, int8"),
        (["--device", "tpu"], "--device must be"),
        (["--threads", "-1"], "--threads"),
        (["--no-browser", "perhaps"], "--no-browser must be one of"),
        (["--public-origin", "stories.example.org"], "--public-origin must be"),
        (["--public-origin", "https://a@b"], "--public-origin must be"),
        (["--public-origin", "https://b/path"], "--public-origin must be"),
        (["--fake-models", "../x"], "--fake-models must be"),
        (["--data", ""], "--data must be the path of a folder"),
        (["--nonsense"], "--help"),
        (["--por", "80"], "--help"),
    ],
)
def test_mistakes_are_reported_in_one_sentence(argv: list[str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(argv, {})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.sampled_from(SETTINGS), st.text(st.characters(exclude_characters="\0"), max_size=30))
def test_any_text_is_a_setting_or_a_mistake(setting: Setting, text: str) -> None:
    variable = setting.variable
    try:
        settings = parse([], {variable: text})
    except SettingsError as error:
        message = str(error)
        assert variable in message or "--public-origin" in message
    else:
        assert isinstance(settings, ServerSettings)


@pytest.mark.parametrize(
    ("argv", "command", "rest"),
    [
        ([], None, []),
        (["--port", "80"], None, ["--port", "80"]),
        (["--port", "80", "backup", "f"], None, ["--port", "80", "backup", "f"]),
        (["backup", "a.b", "--data", "d"], ("backup", Path("a.b")), ["--data", "d"]),
        (["restore", "/x"], ("restore", Path("/x")), []),
    ],
)
def test_a_command_comes_first_with_its_file(
    argv: list[str], command: tuple[str, Path] | None, rest: list[str]
) -> None:
    assert take_command(argv) == (command, rest)


@pytest.mark.parametrize("argv", [["backup"], ["restore"], ["backup", "--data"], ["restore", "-x"]])
def test_a_command_without_a_file_is_refused(argv: list[str]) -> None:
    with pytest.raises(SettingsError, match=argv[0]):
        take_command(argv)


def test_the_readme_lists_every_flag_and_variable() -> None:
    if not README.exists():
        pytest.skip("there is no README.md")
    rows = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    for setting in SETTINGS:
        assert any(f"`{setting.flag}`" in row and f"`{setting.variable}`" in row for row in rows), setting.name
