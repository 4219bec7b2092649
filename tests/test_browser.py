"""The sliders in a real JupyterLab, in a real browser: by keyboard and by mouse, and nothing on the page jumps."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, missing, need

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
NOTEBOOK = "01_one_image_a_million_crops.ipynb"
READY = """async () => {
    const shown = window.jupyterapp.shell.currentWidget;
    await shown.context.ready;
    await shown.sessionContext.ready;
}"""
RUN_ALL = "async () => await window.jupyterapp.commands.execute('notebook:run-all-cells')"
PIXELS = """async image => {
    const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
    return Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))).join();
}"""
PLACES = """() => Array.from(document.querySelectorAll('.course-panel img, .jp-Cell')).map(
    e => { const box = e.getBoundingClientRect(); return [box.x, box.y + scrollY, box.width, box.height] })"""
pytestmark = pytest.mark.full
PATIENCE = 30  # seconds for a picture to change; how long it took is printed, not judged


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab of this test's own, with a copy of the notebook."""
    home = tmp_path_factory.mktemp("lab")
    (home / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, home / "notebooks")
    for extension, settings in {
        "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
        "notebook-extension/tracker": '{"windowingMode": "none"}',
    }.items():
        file = home / f"settings/@jupyterlab/{extension}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(settings)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    places |= {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    environment = os.environ | {key: str(home / name) for key, name in places.items()} | {"COURSE_LIVE": "1"}
    options = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", f"--IdentityProvider.token={token}"]
    options += ["--ServerApp.allow_root=True", f"--ServerApp.root_dir={home / 'notebooks'}"]
    options += ["--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
    with (home / "log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/api/status?token={token}", home / "log")
        yield f"{address}/lab/tree/{NOTEBOOK}?reset&token={token}"
    finally:
        server.terminate()
        server.wait(30)


def wait_for(address: str, log: Path) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(address, timeout=1)
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(log.read_text()[-2000:])


@pytest.fixture(scope="module")
def page(lab: str) -> Iterator[Any]:
    """The notebook in JupyterLab, run from top to bottom."""
    browser_path = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
    )
    if not browser_path:
        missing("Chromium is not installed")
    with need("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.goto(lab)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
        page.evaluate(READY)
        page.evaluate(RUN_ALL)
        page.locator(".course-panel img").nth(3).wait_for(timeout=240_000)
        page.wait_for_timeout(500)
        yield page
        browser.close()


def changed(page: Any, image: Any, before: str) -> float:
    """Seconds until a picture is another one than before."""
    start = time.perf_counter()
    while time.perf_counter() - start < PATIENCE:
        if image.evaluate(PIXELS) != before:
            return time.perf_counter() - start
        page.wait_for_timeout(10)
    pytest.fail("the picture did not change")


def test_the_notebook_runs_and_shows_its_panels(page: Any) -> None:
    assert page.locator(".course-panel").count() == 4
    assert page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator("figure img:not([alt])").count() == 0


def test_every_slider_moves_by_the_arrow_keys_and_nothing_jumps(page: Any) -> None:
    moved = 0
    for number in range(4):
        panel = page.locator(".course-panel").nth(number)
        panel.scroll_into_view_if_needed()
        image, places = panel.locator("img").first, page.evaluate(PLACES)
        handles = panel.locator(".noUi-handle")
        for i in range(handles.count()):
            handles.nth(i).focus()
            before = image.evaluate(PIXELS)
            page.keyboard.press("ArrowRight")
            seconds = changed(page, image, before)
            moved += 1
            print(f"panel {number}, slider {i}: {seconds * 1000:.0f} ms from key to picture")
        after = page.evaluate(PLACES)
        assert len(after) == len(places)
        for old, new in zip(places, after):
            assert new == pytest.approx(old, abs=1), "something on the page moved"
    assert moved == 1 + 3 * 8


def test_a_slider_follows_the_mouse(page: Any, tmp_path: Path) -> None:
    panel = page.locator(".course-panel").nth(1)
    panel.scroll_into_view_if_needed()
    image, handle = panel.locator("img").first, panel.locator(".course-alpha .noUi-handle")
    before, box = image.evaluate(PIXELS), handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=6)
    page.mouse.up()
    print(f"{changed(page, image, before) * 1000:.0f} ms from mouse to picture")
    shots = Path(os.environ.get("COURSE_SHOTS", tmp_path))
    page.screenshot(path=shots / "explorer.png")
    assert (shots / "explorer.png").stat().st_size > 50_000


def test_buttons_deal_and_play(page: Any) -> None:
    panel = page.locator(".course-panel").nth(1)
    image = panel.locator("img").first
    before = image.evaluate(PIXELS)
    panel.get_by_text("deal again").click()
    changed(page, image, before)
    before = image.evaluate(PIXELS)
    panel.locator(".jupyter-widget-play button, .widget-play button").first.click()
    changed(page, image, before)
    panel.locator(".jupyter-widget-play button, .widget-play button").first.click()
