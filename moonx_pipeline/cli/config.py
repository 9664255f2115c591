"""``moonx config``: shows and checks every setting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import click

from moonx_pipeline.cli.terminal import echo, echo_exactly, open_console, print_rows
from moonx_pipeline.domain.show import visible
from moonx_pipeline.settings import InvalidSettings, load_settings
from moonx_pipeline.settings.load import SettingRow, Settings, read_environment, rows, shown_value, value_of
from moonx_pipeline.settings.names import NO_MEANING
from moonx_pipeline.settings.parts import PARTS
from moonx_pipeline.settings.rules import missing_for_gateway, missing_for_worker, warnings_of


class ShownSetting(NamedTuple):
    """A setting with its printable value and that value's origin."""

    row: SettingRow
    value: str
    source: str


@click.command()
@click.option("--check", is_flag=True, help="Only say whether all parts can use the settings.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--markdown", is_flag=True, help="The reference of all settings, as in docs/settings.md.")
@click.option("--env-example", is_flag=True, help="A file with all settings, as .env.example.")
def config(check: bool, as_json: bool, markdown: bool, env_example: bool) -> None:
    """Show every setting: value (secrets hidden), unit, default, and where it came from."""
    if markdown:
        echo_exactly(settings_reference())
        return
    if env_example:
        echo_exactly(environment_example())
        return
    settings = load_settings()
    shown = list(_shown(settings))
    if check:
        # A part asks for its own; here they are the settings of all.
        missing = [problem for problem in (missing_for_gateway(settings), missing_for_worker(settings)) if problem]
        if missing:
            raise InvalidSettings(missing)
        echo(f"{len(shown)} settings are right.")
        for warning in warnings_of(settings):
            echo(warning)
    elif as_json:
        echo(json.dumps([_as_json(setting) for setting in shown], indent=2))
    else:
        _print_table(shown)


def _shown(settings: Settings) -> Iterator[ShownSetting]:
    environment = read_environment()
    for row in rows():
        given = next((environment[name] for name in row.names if environment.get(name, ("", ""))[0].strip()), None)
        value = shown_value(value_of(settings, row))
        yield ShownSetting(row, value, given[1] if given else "default")


def _as_json(setting: ShownSetting) -> dict[str, str | None]:
    row = setting.row
    return {
        "name": row.names[0],
        "value": setting.value,
        "unit": row.unit or None,
        "default": row.default,
        "source": setting.source,
        "meaning": row.about,
    }


def _print_table(shown: list[ShownSetting]) -> None:
    from rich.text import Text

    rows = []
    for setting in shown:
        style, row = "" if setting.source == "default" else "bold", setting.row
        name, value = Text(row.names[0], style), Text(visible(setting.value), style)
        rows.append((name, value, row.unit, row.default, setting.source))
    print_rows(open_console(piped_width=160), ("Setting", "Value", "Unit", "Default", "From"), rows)


def settings_reference() -> str:
    """All settings as Markdown."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable, or a line of `.env` in the folder where a command is run",
        "(`MOONX_ENV_FILE` names another file); the environment goes first. An empty value counts as not set.",
        "`moonx config` shows what is in force, `moonx config --check` whether it can be used. A mistyped name is an",
        "error that names the right one.",
        "",
        "This page is made by `moonx config --markdown`.",
    ]
    for group, members in groupby(rows(), key=lambda row: row.group):
        annotation = Settings.model_fields[group].annotation
        title = (annotation.__doc__ or "").splitlines()[0].rstrip(".")
        lines += ["", f"## {title}", "", "| setting | default | unit | meaning |", "| --- | --- | --- | --- |"]
        lines += [_reference_line(row) for row in members]
    lines += [
        "",
        "## Accepted, without meaning here",
        "",
        "Variables of the system before this one. They do nothing, for the reason beside them.",
        "",
        "| variable | reason |",
        "| --- | --- |",
        *(f"| `{name}` | {reason} |" for name, reason in sorted(NO_MEANING.items())),
    ]
    return "\n".join(lines) + "\n"


def _reference_line(row: SettingRow) -> str:
    others = f" Also `{'`, `'.join(row.names[1:])}`." if len(row.names) > 1 else ""
    secret = f" Secret, read by {_listed(row.parts)}." if row.secret else ""
    default = row.default if row.default == "none" or row.default.startswith("one a") else f"`{row.default}`"
    return f"| `{row.names[0]}` | {default} | {row.unit} | {row.about}{others}{secret} |"


def _listed(parts: tuple[str, ...]) -> str:
    if parts == PARTS:
        return "all parts"
    *others, last = parts or ("nobody",)
    return f"{', '.join(others)} and {last}" if others else last


def environment_example() -> str:
    """All settings as an example file, each commented out."""
    lines = ["# Copy to .env and uncomment what you change. Made by 'moonx config --env-example'.", ""]
    for row in rows():
        lines += [f"# {row.about}{f' ({row.unit})' if row.unit else ''}"]
        lines += [f"#{row.names[0]}={'' if row.default == 'none' or ' ' in row.default else row.default}", ""]
    return "\n".join(lines)
