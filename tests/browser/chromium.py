"""A headless Chromium that tests drive over a pipe, with nothing but the standard library."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Chromium", "program"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 120
"""After which a browser that says nothing is given up [s]."""
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-extensions", "--disable-background-networking", "--remote-debugging-pipe", "--hide-scrollbars"),
)


def program() -> str | None:
    """The browser of this machine, or the one that GEOADAPT_BROWSER names."""
    named = os.environ.get("GEOADAPT_BROWSER")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """One browser with one page; what the page's console says at level error, and what it throws, is kept."""

    def __init__(self, folder: Path) -> None:
        commands, self._in = (fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in os.pipe())
        self._out, answers = (fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in os.pipe())

        def ends() -> None:
            os.dup2(commands, 3)
            os.dup2(answers, 4)

        found = program()
        assert found is not None
        words = [found, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(words, pass_fds=(3, 4), preexec_fn=ends, stdout=quiet, stderr=quiet)
        os.close(commands)
        os.close(answers)
        self._rest = b""
        self._number = 0
        self._session = ""
        self._seen: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for part in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{part}.enable")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._in)
        os.close(self._out)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method: str, **given: Any) -> Any:
        """Send one command of the DevTools protocol and wait for its answer."""
        self._number += 1
        number = self._number
        told = {"id": number, "method": method, "params": given}
        if self._session:
            told["sessionId"] = self._session
        os.write(self._in, json.dumps(told).encode() + b"\0")
        while True:
            message = self._read()
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._note(message)

    def open(self, path: Path, width: int = 1400, height: int = 900, *, scripts: bool = True, anchor: str = "") -> None:
        """Load a file and wait until it stands."""
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.resize(width, height)
        self._seen.clear()
        self.call("Page.navigate", url=path.resolve().as_uri() + anchor)
        while not any(message.get("method") == "Page.loadEventFired" for message in self._seen):
            self._note(self._read())

    def resize(self, width: int, height: int) -> None:
        """Another window [px]."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def run(self, script: str) -> Any:
        """The value of an expression on the page."""
        told = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """A key, down and up."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    def picture(self, path: Path, **given: Any) -> Path:
        """A screenshot as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **given)["data"]))
        return path

    def printed(self, path: Path) -> Path:
        """The page as it would be printed, as PDF."""
        told = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        path.write_bytes(base64.b64decode(told["data"]))
        return path

    def _note(self, message: dict[str, Any]) -> None:
        self._seen.append(message)
        method, told = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
            self.errors.append(str(told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.errors.append(str(told["entry"]["text"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])

    def _read(self) -> dict[str, Any]:
        import select

        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._out], [], [], PATIENCE)
            assert ready, f"the browser said nothing for {PATIENCE} s"
            part = os.read(self._out, 1 << 16)
            assert part, "the browser ended"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found
