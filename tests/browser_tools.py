"""What the browser tests stand on: node, playwright-core, Chromium; found, or installed."""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent / "browser"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MINUTES = 60


def chromium() -> str:
    """The system's Chromium; installed where root may do so on Debian. Raises LookupError."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-q"], check=False, timeout=3 * MINUTES)
        install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium"]
        subprocess.run(install, check=False, timeout=10 * MINUTES)
        found = shutil.which("chromium")
    if not found:
        raise LookupError("no Chromium: install it, or name one in the variable CHROMIUM")
    return found


def node() -> str:
    """node with playwright-core beside the tests. Raises LookupError."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if not found or not npm:
        raise LookupError("no node with npm: install node 20 or newer")
    wanted = HERE / "package-lock.json"
    mark = HERE / "node_modules" / ".package-lock.json"
    if not mark.is_file() or mark.stat().st_mtime < wanted.stat().st_mtime:
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run([npm, "ci", *quiet], cwd=HERE, timeout=5 * MINUTES)
        if done.returncode:
            raise LookupError("npm could not install playwright-core")
    return found
