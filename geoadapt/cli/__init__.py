"""The command line: one file per verb, thin over the functions that ``import geoadapt`` offers.

In: the words that were typed. Out: an exit status: 0 all went well, 1 something failed, 2 the request or its
configuration is wrong, which is found before torch is imported.
"""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from geoadapt.cli.grammar import Flag, Verb, parse
from geoadapt.cli.stopping import UNREAD, heeding_sigterm, leave_stdout
from geoadapt.errors import GeoadaptError, nearest

__all__ = ["VERBS", "main"]

VERBS: dict[str, str] = {
    "demo": "geoadapt.cli.run_demo",
    "train": "geoadapt.cli.train",
    "predict": "geoadapt.cli.predict",
    "forecast": "geoadapt.cli.forecast",
    "evaluate": "geoadapt.cli.evaluate",
    "benchmark": "geoadapt.cli.benchmark",
    "report": "geoadapt.cli.report",
    "inspect": "geoadapt.cli.inspect",
    "list": "geoadapt.cli.catalogue",
    "prepare": "geoadapt.cli.prepare",
}
COMMON = (Flag("--help", "this text", short="-h"), Flag("--debug", "show where an error comes from"))


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    typed = list(sys.argv[1:] if words is None else words)
    debug = "--debug" in typed
    _speak_any_alphabet()
    try:
        with heeding_sigterm():
            return _run(typed, debug)
    except GeoadaptError as error:
        if debug:
            raise
        return _say(error, 2)
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        leave_stdout()
        return UNREAD


def _speak_any_alphabet() -> None:
    """A terminal or pipe that knows no × or ü gets its code: no reason to fail after the work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(typed: list[str], debug: bool) -> int:
    if not typed or typed[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if typed[0] == "--version":
        from geoadapt import __version__

        print(f"geoadapt {__version__}")
        return 0
    if typed[0] == "-sc":
        from geoadapt.cli.completion import answer

        print(answer(typed[1:]))
        return 0
    name, *rest = typed
    verb = load_verb(name)
    if _asks_for_help(rest):
        print(_help(name, verb))
        return 0
    full = Verb(verb.summary, verb.plan, verb.paths, (*verb.flags, *COMMON), verb.sections)
    work = verb.plan(parse(full, rest, shlex.join(["geoadapt", *typed])))
    return _carry_out(work, debug)


def _carry_out(work: Callable[[], int], debug: bool) -> int:
    """Do the work; whatever it raises is one line for people, or with ``--debug`` a traceback."""
    import logging

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)  # What GDAL signals is said again by the error itself.
    try:
        return work()
    except GeoadaptError as error:
        if debug:
            raise
        return _say(error, 1)
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug:
            raise
        return _say(f"{_unforeseen(error)}; --debug shows where it comes from", 1)


def _unforeseen(error: Exception) -> str:
    """What nobody wrote a message for: of a file by its name, of all else by its kind."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}; check the path, its rights and the free space"
    return f"{type(error).__name__}: {error}"


def _say(error: object, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return status


def load_verb(name: str) -> Verb:
    if name not in VERBS:
        raise GeoadaptError(name, "unknown verb", nearest(name, VERBS))
    found: Verb = import_module(VERBS[name]).VERB
    return found


def _asks_for_help(rest: Sequence[str]) -> bool:
    before = rest[: rest.index("--")] if "--" in rest else rest
    return "--help" in before or "-h" in before


def _overview() -> str:
    lines = [f"  {name:<10}{load_verb(name).summary}" for name in VERBS]
    return "\n".join(
        [
            "usage: geoadapt VERB [PATHS…] [--flags] [group=choice] [key=value]",
            "",
            "Adapt frozen geospatial foundation models, run them over archives, and know what they are worth.",
            "",
            *lines,
            "",
            "  geoadapt VERB --help says what a verb takes; geoadapt --version; geoadapt inspect --system",
            '  eval "$(geoadapt -sc install=bash)" completes verbs, groups, choices and keys',
        ]
    )


def _where_keys_are_explained(sections: Sequence[str]) -> list[str]:
    from geoadapt.config import GROUPS, SECTIONS

    plain = [section for section in SECTIONS if section in sections]
    chosen = [f"{group}=CHOICE" for group in GROUPS if group in sections]
    words = [" ".join(part) for part in (plain, chosen) if part]
    return [f"  geoadapt list {word} says what each key means, with its default" for word in words]


def _help(name: str, verb: Verb) -> str:
    """Usage, flags, choices and examples of one verb."""
    words = [name, verb.paths, "[--flags]", "[group=choice] [key=value]" if verb.sections else ""]
    lines = [f"usage: geoadapt {' '.join(word for word in words if word)}", "", verb.summary, "", "flags:"]
    for flag in (*verb.flags, *COMMON):
        spelled = ", ".join(word for word in (flag.short, f"{flag.name} {flag.value}".strip()) if word)
        lines.append(f"  {spelled:<26}{flag.help}")
    if verb.sections:
        from geoadapt.cli.keys import describe

        lines += ["", "configuration (group=choice, key=value):", *(f"  {line}" for line in describe(verb.sections))]
        lines += ["", *_where_keys_are_explained(verb.sections)]
    if verb.examples:
        lines += ["", "examples:", *(f"  {example}" for example in verb.examples)]
    return "\n".join(lines)
